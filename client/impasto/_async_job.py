"""A job and its watching, for asyncio. The same words as in _job.py."""

import asyncio
import time
from collections.abc import AsyncIterator
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

    from impasto._async_client import AsyncClient


class AsyncJob(JobRecord):
    """A picture being painted. Iterating watches it from its first event; forgetting it changes nothing."""

    def __init__(self, client: "AsyncClient", message: job_pb2.Job) -> None:
        super().__init__(message)
        self._client = client

    def __aiter__(self) -> "AsyncWatch":
        """Watches from the first event, with previews."""
        return self.watch()

    def watch(
        self,
        *,
        previews: PreviewOptions | None = PreviewOptions(),  # noqa: B008 (frozen)
        after_sequence: int = 0,
        timeout_s: float | None = None,
    ) -> "AsyncWatch":
        """Events after `after_sequence`, to the terminal state; see `Job.watch`."""
        return AsyncWatch(self._client, self, previews, after_sequence, timeout_s)

    async def result(self, timeout_s: float | None = None) -> "Image":
        """Waits for the finished picture; see `Job.result`."""
        data = await self.result_bytes(timeout_s)
        return self._picture(data, self._any_result())

    async def result_bytes(self, timeout_s: float | None = None) -> bytes:
        """Waits for the finished picture; its file as the server keeps it."""
        if not self.state.ended:
            async with self.watch(previews=None, after_sequence=self.last_sequence, timeout_s=timeout_s) as events:
                async for _ in events:
                    pass
        if self.state is JobState.SUCCEEDED and self._result is None:
            await self.refresh()
        return await self._client.download(self._whole_result().stored)

    async def partial(self) -> "Image":
        """The last picture of a job that was cancelled. Raises NotFoundError if no step had been made."""
        data = await self.partial_bytes()
        return self._picture(data, self._any_result())

    async def partial_bytes(self) -> bytes:
        """The last picture of a job that was cancelled, as a file."""
        if self._result is None:
            await self.refresh()
        return await self._client.download(self._any_result().stored)

    async def refresh(self) -> Self:
        """Asks the server how the job stands."""
        self._take(await self._client._get_job(self.name))
        return self

    async def cancel(self) -> Self:
        """Stops the job within one step; its last picture is kept. An ended job stays as it is."""
        request = stylizer_pb2.CancelJobRequest(name=self.name)
        response = await self._client._call("CancelJob", lambda stub: stub.CancelJob(request, timeout=CALL_TIMEOUT_S))
        self._take(response.job)
        return self

    async def update(
        self,
        *,
        content_weight: float | None = None,
        style_weight: float | None = None,
        tv_weight: float | None = None,
    ) -> Self:
        """Steers the job from its next step on; None stays. Raises JobStateError once it has ended."""
        request = _requests.update_request(self.name, content_weight, style_weight, tv_weight)
        response = await self._client._call("UpdateJob", lambda stub: stub.UpdateJob(request, timeout=CALL_TIMEOUT_S))
        self._take(response.job)
        return self

    async def continue_with(self, **options: Unpack[JobOptions]) -> "AsyncJob":
        """A new job that goes on from where this one ended; see `Job.continue_with`."""
        _requests.check_options(options, "continue_with")
        request = _requests.continue_request(self._message, options)
        response = await self._client._call("CreateJob", lambda stub: stub.CreateJob(request, timeout=CALL_TIMEOUT_S))
        return AsyncJob(self._client, response.job)

    async def delete(self) -> None:
        """Makes the server forget the job and its result. Raises JobStateError while it isn't ended."""
        request = stylizer_pb2.DeleteJobRequest(name=self.name)
        await self._client._call("DeleteJob", lambda stub: stub.DeleteJob(request, timeout=CALL_TIMEOUT_S))


class AsyncWatch(AsyncIterator[JobEvent]):
    """A job's events as they happen. An async context manager."""

    def __init__(
        self,
        client: "AsyncClient",
        job: AsyncJob,
        previews: PreviewOptions | None,
        after_sequence: int,
        timeout_s: float | None,
    ) -> None:
        self._client = client
        self._job = job
        self._follower = Follower(
            job.name, after_sequence=after_sequence, previews=previews, reconnect=client._policy()
        )
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._closed = False
        self._wait_s = 0.0
        self._call: Any = None

    @property
    def sequence(self) -> int:
        """Sequence of the latest event that was handed out."""
        return self._follower.sequence

    def __aiter__(self) -> Self:
        """Itself."""
        return self

    async def __anext__(self) -> JobEvent:
        """The next event; waits for it."""
        while True:
            if self._wait_s:
                await asyncio.sleep(min(self._wait_s, self._left_s() or self._wait_s))
                self._wait_s = 0.0
            if self._follower.must_revive and not self._closed:
                await self._client._revive()
                self._follower.revived()
            if self._closed or self._follower.ended:
                self.close()
                raise StopAsyncIteration
            try:
                event = await self._read()
            except grpc.RpcError as error:
                event = await self._lost(error)
            except asyncio.CancelledError:
                # Either the caller's task was cancelled, or `close()` ended the call under its reader.
                self._call = None
                task = asyncio.current_task()
                if not self._closed or (task is not None and task.cancelling()):
                    raise
                event = None
            if event is not None:
                self._job._notice(event)
                return event

    def close(self) -> None:
        """Ends the call, not the job."""
        self._closed = True
        if self._call is not None:
            self._call.cancel()
            self._call = None

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Closes it."""
        self.close()

    def __del__(self) -> None:
        """A watch that is dropped in the middle must not keep its call."""
        if getattr(self, "_call", None) is not None:
            self._call.cancel()

    def _left_s(self) -> float | None:
        return None if self._deadline is None else max(self._deadline - time.monotonic(), 0.001)

    async def _read(self) -> JobEvent | None:
        if self._call is None:
            _, _, stub = await self._client._opened()
            self._call = stub.WatchJob(self._follower.request(), timeout=self._left_s())
            # Headers arrive with the first event at the latest; they tell a silent job from a silent server.
            await self._call.initial_metadata()
            if not self._call.done():
                self._follower.connected()
        response = await self._call.read()
        if response is not grpc.aio.EOF:
            return self._follower.received(response)
        self._call = None
        if not self._follower.ended and (await self._job.refresh()).state.ended:
            # Somebody asked for events after the last one.
            self._follower.ended = True
        elif not self._follower.ended:
            return self._retry(self._follower.lost("the server closed the stream"))
        return None

    async def _lost(self, error: grpc.RpcError) -> JobEvent | None:
        self._call = None
        if self._closed:
            return None
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and self._deadline is not None:
            raise ResultTimeoutError(
                f"Job {self._job.id} is {self._job.state} and did not end in time. It goes on."
            ) from None
        exception = await self._client._explain(error, "WatchJob")
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
