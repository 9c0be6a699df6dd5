"""A job and its watching, in their blocking form."""

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

import grpc

from impasto import _errors, _requests
from impasto._endpoint import CALL_TIMEOUT_S
from impasto._events import JobEvent, JobState, Reconnecting
from impasto._exceptions import LocalServerError, ResultTimeoutError
from impasto._job_record import JobRecord
from impasto._reconnect import Follower
from impasto._requests import JobOptions, PreviewOptions
from impasto.v1 import job_pb2, stylizer_pb2

if TYPE_CHECKING:
    from PIL.Image import Image

    from impasto._client import Client


class Job(JobRecord):
    """A picture being painted. Iterating watches it from its first event; forgetting it changes nothing."""

    def __init__(self, client: "Client", message: job_pb2.Job) -> None:
        super().__init__(message)
        self._client = client

    def __iter__(self) -> "Watch":
        """Watches from the first event, with previews."""
        return self.watch()

    def watch(
        self,
        *,
        previews: PreviewOptions | None = PreviewOptions(),  # noqa: B008 (frozen)
        after_sequence: int = 0,
        timeout_s: float | None = None,
    ) -> "Watch":
        """Events after `after_sequence`, to the terminal state. Lost contact is taken up again where it was.

        `previews` None means none. Raises ServerUnavailableError when contact stays lost, ResultTimeoutError
        after `timeout_s`. Dropping the iterator ends the call, never the job.
        """
        return Watch(self._client, self, previews, after_sequence, timeout_s)

    def result(self, timeout_s: float | None = None) -> "Image":
        """Waits for the finished picture.

        Raises JobFailedError, JobCancelledError, ServerUnavailableError, or ResultTimeoutError (the job goes on).
        The image's `info` says where it comes from (`impasto.job`, `impasto.recipe`, `impasto.step`). It has 8 bits a
        channel, as PIL's colour images do; the 16 of a result that was asked for so are in `result_bytes`.
        """
        data = self.result_bytes(timeout_s)
        return self._picture(data, self._any_result())

    def result_bytes(self, timeout_s: float | None = None) -> bytes:
        """Waits for the finished picture; its file as the server keeps it."""
        if not self.state.ended:
            with self.watch(previews=None, after_sequence=self.last_sequence, timeout_s=timeout_s) as events:
                for _ in events:
                    pass
        if self.state is JobState.SUCCEEDED and self._result is None:
            self.refresh()
        return self._client.download(self._whole_result().stored)

    def partial(self) -> "Image":
        """The last picture of a job that was cancelled. Raises NotFoundError if no step had been made."""
        return self._picture(self.partial_bytes(), self._any_result())

    def partial_bytes(self) -> bytes:
        """The last picture of a job that was cancelled, as a file."""
        if self._result is None:
            self.refresh()
        return self._client.download(self._any_result().stored)

    def refresh(self) -> Self:
        """Asks the server how the job stands."""
        self._take(self._client._get_job(self.name))
        return self

    def cancel(self) -> Self:
        """Stops the job within one step; its last picture is kept. An ended job stays as it is."""
        request = stylizer_pb2.CancelJobRequest(name=self.name)
        self._take(self._client._call("CancelJob", lambda stub: stub.CancelJob(request, timeout=CALL_TIMEOUT_S)).job)
        return self

    def update(
        self,
        *,
        content_weight: float | None = None,
        style_weight: float | None = None,
        tv_weight: float | None = None,
    ) -> Self:
        """Steers the job from its next step on; None stays. Raises JobStateError once it has ended."""
        request = _requests.update_request(self.name, content_weight, style_weight, tv_weight)
        self._take(self._client._call("UpdateJob", lambda stub: stub.UpdateJob(request, timeout=CALL_TIMEOUT_S)).job)
        return self

    def continue_with(self, **options: Unpack[JobOptions]) -> "Job":
        """A new job that goes on from this one's last picture and optimiser state, and returns at once.

        It is asked for what this one was, but for the options: those of `Client.submit`. `steps` are steps to make
        on top. Raises JobStateError while this job hasn't ended, or if it ended before its first step.
        """
        _requests.check_options(options, "continue_with")
        request = _requests.continue_request(self._message, options)
        response = self._client._call("CreateJob", lambda stub: stub.CreateJob(request, timeout=CALL_TIMEOUT_S))
        return Job(self._client, response.job)

    def delete(self) -> None:
        """Makes the server forget the job and its result. Raises JobStateError while it isn't ended."""
        request = stylizer_pb2.DeleteJobRequest(name=self.name)
        self._client._call("DeleteJob", lambda stub: stub.DeleteJob(request, timeout=CALL_TIMEOUT_S))


class Watch(Iterator[JobEvent]):
    """A job's events as they happen. A context manager; `close()` may come from another thread."""

    def __init__(
        self,
        client: "Client",
        job: Job,
        previews: PreviewOptions | None,
        after_sequence: int,
        timeout_s: float | None,
    ) -> None:
        endpoint = client._opened()[0]
        self._client = client
        self._job = job
        self._follower = Follower(
            job.name, after_sequence=after_sequence, previews=previews, reconnect=endpoint.reconnect
        )
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._closed = threading.Event()
        self._wait_s = 0.0
        self._call: Any = None

    @property
    def sequence(self) -> int:
        """Sequence of the latest event that was handed out."""
        return self._follower.sequence

    def __iter__(self) -> Self:
        """Itself."""
        return self

    def __next__(self) -> JobEvent:
        """The next event; waits for it."""
        while True:
            if self._wait_s:
                self._closed.wait(min(self._wait_s, self._left_s() or self._wait_s))
                self._wait_s = 0.0
            if self._follower.must_revive and not self._closed.is_set():
                self._client._revive()
                self._follower.revived()
            if self._closed.is_set() or self._follower.ended:
                self.close()
                raise StopIteration
            try:
                event = self._read()
            except grpc.RpcError as error:
                event = self._lost(error)
            if event is not None:
                self._job._notice(event)
                return event

    def close(self) -> None:
        """Ends the call, not the job."""
        self._closed.set()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        self.close()

    def __del__(self) -> None:
        """A watch that is dropped in the middle must not keep its call."""
        if getattr(self, "_call", None) is not None:
            self._call.cancel()

    def _left_s(self) -> float | None:
        return None if self._deadline is None else max(self._deadline - time.monotonic(), 0.001)

    def _read(self) -> JobEvent | None:
        if self._call is None:
            _, _, stub = self._client._opened()
            self._call = stub.WatchJob(self._follower.request(), timeout=self._left_s())
            # Headers arrive with the first event at the latest; they tell a silent job from a silent server.
            self._call.initial_metadata()
            if self._call.is_active():
                self._follower.connected()
        try:
            return self._follower.received(next(self._call))
        except StopIteration:
            self._call = None
            if not self._follower.ended and self._job.refresh().state.ended:
                # Somebody asked for events after the last one.
                self._follower.ended = True
            elif not self._follower.ended:
                return self._retry(self._follower.lost("the server closed the stream"))
            return None

    def _lost(self, error: grpc.RpcError) -> JobEvent | None:
        self._call = None
        if self._closed.is_set():
            return None
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and self._deadline is not None:
            raise ResultTimeoutError(
                f"Job {self._job.id} is {self._job.state} and did not end in time. It goes on."
            ) from None
        exception = self._client._explain(error, "WatchJob")
        if not _errors.is_lost_contact(error):
            raise exception from None
        if isinstance(exception, LocalServerError):
            event = self._follower.died()
        else:
            event = self._follower.lost(error.details() or exception.message, exception.retry_after_s)
        if event is None:
            raise exception from None
        return self._retry(event)

    def _retry(self, event: Reconnecting | None) -> Reconnecting | None:
        self._wait_s = event.delay_s if event else 0.0
        return event
