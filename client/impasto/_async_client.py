"""The client, for asyncio. The same words as in _client.py."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Self, TypeAlias, TypeVar, Unpack

import grpc

from impasto import _errors, _requests, _transfer
from impasto._async_job import AsyncJob
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
from impasto._owner import signed
from impasto._reconnect import Backoff, Reconnect
from impasto._requests import JobOptions, Styles
from impasto._server_info import GalleryStyle, ServerInfo, read_server_info
from impasto.v1 import job_pb2, stylizer_pb2, stylizer_pb2_grpc

if TYPE_CHECKING:
    from PIL.Image import Image

    from impasto.v1.stylizer_pb2_grpc import StylizerAsyncStub

Answer = TypeVar("Answer")
Call: TypeAlias = "Callable[[StylizerAsyncStub], Awaitable[Answer]]"

EARLY_ANSWER_S = 2.0
"""How long a repeated upload waits for the answer to its announcement before it sends anything."""


class AsyncClient:
    """Talks to one server from one event loop. An async context manager.

    `server` is `HOST:PORT`, `unix:/path`, `local`, or an invitation (`impasto://…`). Left out, it is taken from the
    environment (IMPASTO_SERVER), then from the configuration file, and then it is a private local server, which the
    first call starts if it doesn't run. To an address that `impasto connect` has an invitation for, it encrypts.
    """

    def __init__(self, server: str | None = None, *, reconnect: Reconnect | None = None) -> None:
        self._choice = choose_server(server)
        self._reconnect = reconnect
        self._lock = asyncio.Lock()
        self._open: tuple[Endpoint, grpc.aio.Channel, StylizerAsyncStub] | None = None
        self._heard = False

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Closes it."""
        await self.close()

    async def close(self) -> None:
        """Closes the connection. Jobs go on; a later call opens it again."""
        async with self._lock:
            if self._open is not None:
                await self._open[1].close()
                self._open = None

    @property
    def address(self) -> str:
        """Where the server is; `local` until the first call has found or started it."""
        return self._open[0].address if self._open else self._choice.address

    async def server_info(self) -> ServerInfo:
        """What the server is and offers."""
        request = stylizer_pb2.GetServerInfoRequest()
        response = await self._call("GetServerInfo", lambda stub: stub.GetServerInfo(request, timeout=CALL_TIMEOUT_S))
        return read_server_info(response.server)

    async def styles(self) -> tuple[GalleryStyle, ...]:
        """The styles that come with the server."""
        return (await self.server_info()).gallery

    async def stylize(self, content: Picture, style: Styles, **options: Unpack[JobOptions]) -> "Image":
        """Paints `content` in the manner of `style` and returns the finished picture.

        Takes the same arguments and raises the same errors as `submit` and `AsyncJob.result`. Cancelled, it
        cancels the job: nobody else has its name.
        """
        job = await self.submit(content, style, **options)
        try:
            return await job.result()
        except asyncio.CancelledError:
            with contextlib.suppress(ImpastoError):
                await asyncio.shield(job.cancel())
            raise

    async def submit(self, content: Picture, style: Styles, **options: Unpack[JobOptions]) -> AsyncJob:
        """Queues a job and returns at once; see `Client.submit` for what may be given."""
        _requests.check_options(options, "submit")
        styles = _requests.sort_styles(style)
        parts = []
        for index, entry in enumerate(styles):
            image = ""
            if not entry.gallery_style:
                with _requests.about(f"spec.styles[{index}].image"):
                    image = (await self.upload(entry.source)).name
            parts.append(_requests.style_message(entry, image))
        with _requests.about("spec.content"):
            stored = await self.upload(content)
        request = _requests.create_job_request(stored, parts, options)
        response = await self._call("CreateJob", lambda stub: stub.CreateJob(request, timeout=CALL_TIMEOUT_S))
        return AsyncJob(self, response.job)

    async def job(self, name_or_id: str) -> AsyncJob:
        """A job by `jobs/{uuid}` or its UUID alone. Raises JobNotFoundError."""
        return AsyncJob(self, await self._get_job(_requests.job_name(name_or_id)))

    async def jobs(self, states: Iterable[JobState | str] = ()) -> AsyncIterator[AsyncJob]:
        """All jobs on the server, or those in one of these states, the newest first; fetched page by page."""
        wanted = _requests.job_states(states)
        token = ""
        while True:
            page = await self._list_jobs(stylizer_pb2.ListJobsRequest(page_token=token, states=wanted))
            for message in page.jobs:
                yield AsyncJob(self, message)
            token = page.next_page_token
            if not token:
                return

    async def upload(self, picture: Picture) -> StoredImage:
        """Brings a picture to the server, unless its content is there already."""
        # Reading a file and compressing a PNG take their time.
        encoded = await asyncio.to_thread(encode, picture)
        if isinstance(encoded, StoredImage):
            return encoded
        if isinstance(encoded, str):
            return _requests.named_image(encoded)
        tries = 0

        async def send(stub: "StylizerAsyncStub") -> stylizer_pb2.UploadImageResponse:
            nonlocal tries
            tries += 1
            return await send_upload(stub, encoded, patient=tries > 1)

        return read_image((await self._call("UploadImage", send)).image)

    async def download(self, image: StoredImage | str) -> bytes:
        """The bytes of an image that the server holds, checked. Raises ImageNotFoundError."""
        download = _transfer.Download(image if isinstance(image, str) else image.name)

        async def fetch(stub: "StylizerAsyncStub") -> bytes:
            async for response in stub.DownloadImage(download.request(), timeout=TRANSFER_TIMEOUT_S):
                download.received(response)
            return download.finish()

        return await self._call("DownloadImage", fetch)

    async def _get_job(self, name: str) -> job_pb2.Job:
        request = stylizer_pb2.GetJobRequest(name=name)
        return (await self._call("GetJob", lambda stub: stub.GetJob(request, timeout=CALL_TIMEOUT_S))).job

    async def _list_jobs(self, request: stylizer_pb2.ListJobsRequest) -> stylizer_pb2.ListJobsResponse:
        return await self._call("ListJobs", lambda stub: stub.ListJobs(request, timeout=CALL_TIMEOUT_S))

    async def _opened(self) -> "tuple[Endpoint, grpc.aio.Channel, StylizerAsyncStub]":
        async with self._lock:
            if self._open is None:
                endpoint = await asyncio.to_thread(open_endpoint, self._choice, self._reconnect)
                channel = endpoint.async_channel()
                self._open = endpoint, channel, signed(stylizer_pb2_grpc.StylizerStub(channel))
                self._heard = endpoint.local is not None
            return self._open

    def _policy(self) -> Reconnect:
        return self._open[0].reconnect if self._open else self._reconnect or Reconnect()

    async def _revive(self) -> None:
        """Starts the private server again if it died."""
        if (local := (await self._opened())[0].local) is not None:
            await asyncio.to_thread(local.ensure_running)

    async def _call(self, rpc: str, call: "Call[Answer]") -> Answer:
        """Makes a call, again and again while contact is lost: all of our unary calls can be repeated."""
        endpoint, _, stub = await self._opened()
        backoff = Backoff(endpoint.unary_policy(self._heard))
        started = False
        while True:
            try:
                answer = await call(stub)
            except grpc.RpcError as error:
                exception = await self._explain(error, rpc)
                delay_s = None
                if _errors.is_lost_contact(error) or is_masked(error):
                    delay_s = backoff.next_delay_s(exception.retry_after_s)
                if delay_s is None:
                    raise exception from None
                if endpoint.local is not None and not started:
                    # It may have exited for lack of work since we last spoke.
                    await asyncio.to_thread(endpoint.local.ensure_running)
                    started = True
                    backoff.contact()
                else:
                    await asyncio.sleep(delay_s)
            else:
                self._heard = True
                return answer

    async def _explain(self, error: grpc.RpcError, rpc: str) -> ImpastoError:
        endpoint, _, stub = await self._opened()
        if not _errors.lacks_rpc(error):
            return endpoint.explain(error, rpc)
        version = ""
        if rpc != "GetServerInfo":
            with contextlib.suppress(grpc.RpcError):
                request = stylizer_pb2.GetServerInfoRequest()
                version = (await stub.GetServerInfo(request, timeout=CALL_TIMEOUT_S)).server.version
        return _errors.server_too_old(rpc, endpoint.address, version)


async def send_upload(stub: "StylizerAsyncStub", upload: Upload, *, patient: bool) -> stylizer_pb2.UploadImageResponse:
    """One try at an upload. A patient one lets the server answer the announcement before it goes on."""
    call = stub.UploadImage(timeout=TRANSFER_TIMEOUT_S)
    try:
        await call.write(_transfer.announcement(upload))
        if patient:
            over = asyncio.Event()
            call.add_done_callback(lambda _: over.set())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), EARLY_ANSWER_S)
        for chunk in _transfer.chunks(upload):
            if call.done():
                break
            await call.write(chunk)
        await call.done_writing()
    except (asyncio.InvalidStateError, grpc.RpcError):
        # The server has answered already: the answer below says what.
        pass
    return await call


def is_masked(error: grpc.RpcError) -> bool:
    """True if grpc.aio lost the server's early answer to an upload.

    A write that fails because the call is over replaces the server's status by INTERNAL
    (https://github.com/grpc/grpc/issues/36066).
    """
    return error.code() is grpc.StatusCode.INTERNAL and "Internal error from Core" in (error.details() or "")
