"""The client, in its blocking form."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Self, TypeAlias, TypeVar, Unpack

import grpc

from impasto import _errors, _requests, _transfer
from impasto._config import choose_server
from impasto._endpoint import (
    CALL_TIMEOUT_S,
    TRANSFER_TIMEOUT_S,
    Endpoint,
    open_endpoint,
)
from impasto._events import JobState, StoredImage, read_image
from impasto._exceptions import ImpastoError
from impasto._images import Picture, Upload, encode
from impasto._job import Job
from impasto._owner import signed
from impasto._reconnect import Backoff, Reconnect
from impasto._requests import JobOptions, Styles
from impasto._server_info import GalleryStyle, ServerInfo, read_server_info
from impasto.v1 import job_pb2, stylizer_pb2, stylizer_pb2_grpc

if TYPE_CHECKING:
    from PIL.Image import Image

Answer = TypeVar("Answer")
Call: TypeAlias = Callable[[stylizer_pb2_grpc.StylizerStub], Answer]


class Client:
    """Talks to one server. Threads may share it. A context manager, though forgetting it is harmless.

    `server` is `HOST:PORT`, `unix:/path`, `local`, or an invitation (`impasto://…`). Left out, it is taken from the
    environment (IMPASTO_SERVER), then from the configuration file, and then it is a private local server, which the
    first call starts if it doesn't run. To an address that `impasto connect` has an invitation for, it encrypts.
    """

    def __init__(self, server: str | None = None, *, reconnect: Reconnect | None = None) -> None:
        self._choice = choose_server(server)
        self._reconnect = reconnect
        self._lock = threading.Lock()
        self._open: tuple[Endpoint, grpc.Channel, stylizer_pb2_grpc.StylizerStub] | None = None
        self._heard = False

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        """Closes it."""
        # A call that Ctrl-C tore apart may never end in gRPC's eyes, and closing would wait for it for ever.
        if kind is not KeyboardInterrupt:
            self.close()

    def close(self) -> None:
        """Closes the connection. Jobs go on; a later call opens it again."""
        with self._lock:
            if self._open is not None:
                self._open[1].close()
                self._open = None

    @property
    def address(self) -> str:
        """Where the server is; `local` until the first call has found or started it."""
        return self._open[0].address if self._open else self._choice.address

    def server_info(self) -> ServerInfo:
        """What the server is and offers."""
        request = stylizer_pb2.GetServerInfoRequest()
        response = self._call("GetServerInfo", lambda stub: stub.GetServerInfo(request, timeout=CALL_TIMEOUT_S))
        return read_server_info(response.server)

    def styles(self) -> tuple[GalleryStyle, ...]:
        """The styles that come with the server."""
        return self.server_info().gallery

    def stylize(self, content: Picture, style: Styles, **options: Unpack[JobOptions]) -> "Image":
        """Paints `content` in the manner of `style` and returns the finished picture.

        Takes the same arguments and raises the same errors as `submit` and `Job.result`. Interrupted, it
        cancels the job: nobody else has its name.
        """
        job = self.submit(content, style, **options)
        try:
            return job.result()
        except KeyboardInterrupt:
            job.cancel()
            raise

    def submit(self, content: Picture, style: Styles, **options: Unpack[JobOptions]) -> Job:
        """Queues a job and returns at once.

        `content` is a path, bytes, a PIL image, an array of uint8 (H×W, H×W×3, H×W×4), or what `upload`
        returned. `style` is one of these or the name of a gallery style; a list or mapping mixes several by weight.
        The options are those of `JobOptions`; what is left out is the recipe's own.

        Raises ParameterError, ImageError, QueueFullError, ServerUnavailableError and their like.
        """
        _requests.check_options(options, "submit")
        styles = _requests.sort_styles(style)
        parts = []
        for index, entry in enumerate(styles):
            image = ""
            if not entry.gallery_style:
                with _requests.about(f"spec.styles[{index}].image"):
                    image = self.upload(entry.source).name
            parts.append(_requests.style_message(entry, image))
        with _requests.about("spec.content"):
            stored = self.upload(content)
        request = _requests.create_job_request(stored, parts, options)
        response = self._call("CreateJob", lambda stub: stub.CreateJob(request, timeout=CALL_TIMEOUT_S))
        return Job(self, response.job)

    def job(self, name_or_id: str) -> Job:
        """A job by `jobs/{uuid}` or its UUID alone. Raises JobNotFoundError."""
        return Job(self, self._get_job(_requests.job_name(name_or_id)))

    def jobs(self, states: Iterable[JobState | str] = ()) -> Iterator[Job]:
        """All jobs on the server, or those in one of these states, the newest first; fetched page by page."""
        wanted = _requests.job_states(states)
        token = ""
        while True:
            request = stylizer_pb2.ListJobsRequest(page_token=token, states=wanted)
            page = self._list_jobs(request)
            for message in page.jobs:
                yield Job(self, message)
            token = page.next_page_token
            if not token:
                return

    def upload(self, picture: Picture) -> StoredImage:
        """Brings a picture to the server, unless its content is there already."""
        encoded = encode(picture)
        if isinstance(encoded, StoredImage):
            return encoded
        if isinstance(encoded, str):
            return _requests.named_image(encoded)
        return self._upload(encoded)

    def _upload(self, upload: Upload) -> StoredImage:
        response = self._call(
            "UploadImage",
            lambda stub: stub.UploadImage(_transfer.messages(upload), timeout=TRANSFER_TIMEOUT_S),
        )
        return read_image(response.image)

    def download(self, image: StoredImage | str) -> bytes:
        """The bytes of an image that the server holds, checked. Raises ImageNotFoundError."""
        download = _transfer.Download(image if isinstance(image, str) else image.name)

        def fetch(stub: stylizer_pb2_grpc.StylizerStub) -> bytes:
            for response in stub.DownloadImage(download.request(), timeout=TRANSFER_TIMEOUT_S):
                download.received(response)
            return download.finish()

        return self._call("DownloadImage", fetch)

    def _get_job(self, name: str) -> job_pb2.Job:
        request = stylizer_pb2.GetJobRequest(name=name)
        return self._call("GetJob", lambda stub: stub.GetJob(request, timeout=CALL_TIMEOUT_S)).job

    def _list_jobs(self, request: stylizer_pb2.ListJobsRequest) -> stylizer_pb2.ListJobsResponse:
        return self._call("ListJobs", lambda stub: stub.ListJobs(request, timeout=CALL_TIMEOUT_S))

    def _opened(self) -> tuple[Endpoint, grpc.Channel, stylizer_pb2_grpc.StylizerStub]:
        with self._lock:
            if self._open is None:
                endpoint = open_endpoint(self._choice, self._reconnect)
                channel = endpoint.channel()
                self._open = endpoint, channel, signed(stylizer_pb2_grpc.StylizerStub(channel))
                self._heard = endpoint.local is not None
            return self._open

    def _revive(self) -> None:
        """Starts the private server again if it died."""
        if (local := self._opened()[0].local) is not None:
            local.ensure_running()

    def _call(self, rpc: str, call: Call[Answer]) -> Answer:
        """Makes a call, again and again while contact is lost: all of our unary calls can be repeated."""
        endpoint, _, stub = self._opened()
        backoff = Backoff(endpoint.unary_policy(self._heard))
        started = False
        while True:
            try:
                answer = call(stub)
            except grpc.RpcError as error:
                exception = self._explain(error, rpc)
                delay_s = None
                if _errors.is_lost_contact(error):
                    delay_s = backoff.next_delay_s(exception.retry_after_s)
                if delay_s is None:
                    raise exception from None
                if endpoint.local is not None and not started:
                    # It may have exited for lack of work since we last spoke.
                    endpoint.local.ensure_running()
                    started = True
                    backoff.contact()
                else:
                    time.sleep(delay_s)
            else:
                self._heard = True
                return answer

    def _explain(self, error: grpc.RpcError, rpc: str) -> ImpastoError:
        endpoint, _, stub = self._opened()
        if not _errors.lacks_rpc(error):
            return endpoint.explain(error, rpc)
        version = ""
        if rpc != "GetServerInfo":
            with contextlib.suppress(grpc.RpcError):
                request = stylizer_pb2.GetServerInfoRequest()
                version = stub.GetServerInfo(request, timeout=CALL_TIMEOUT_S).server.version
        return _errors.server_too_old(rpc, endpoint.address, version)
