"""What `Job` and `AsyncJob` know without asking: the job as it was when the server was last heard."""

from datetime import datetime
from typing import TYPE_CHECKING

from impasto._events import (
    JobEvent,
    JobState,
    Progress,
    Result,
    StateChanged,
    now,
    read_job_error,
    read_progress,
    read_result,
    read_state,
    read_time,
)
from impasto._exceptions import JobCancelledError, JobError, JobFailedError, JobStateError, NotFoundError
from impasto._images import decode
from impasto.v1 import job_pb2

if TYPE_CHECKING:
    from PIL.Image import Image


class JobRecord:
    """A job's properties. They change with each watched event and each call that returns a job."""

    def __init__(self, message: job_pb2.Job) -> None:
        self._name = message.name
        self._take(message)

    def _take(self, message: job_pb2.Job) -> None:
        time, attempt = read_time(message.end_time) or now(), message.attempt
        self._message = message
        self._state = read_state(message.state)
        self._device = message.device
        self._progress = read_progress(message.progress, 0, time, attempt) if message.HasField("progress") else None
        self._result = read_result(message.result, 0, time, attempt) if message.HasField("result") else None
        self._error = read_job_error(message.error) if message.HasField("error") else None

    def _notice(self, event: JobEvent) -> None:
        match event:
            case StateChanged():
                self._state = event.state
                self._device = event.device or self._device
                self._error = event.error or self._error
            case Progress():
                self._progress = event
            case Result():
                self._result = event
            case _:
                pass

    @property
    def name(self) -> str:
        """`jobs/{uuid}`."""
        return self._name

    @property
    def id(self) -> str:
        """The UUID alone."""
        return self._name.rpartition("/")[2]

    @property
    def state(self) -> JobState:
        """How the job stood when it was last heard of; `refresh()` asks."""
        return self._state

    @property
    def progress(self) -> Progress | None:
        """The latest step; None before the first."""
        return self._progress

    @property
    def result_event(self) -> Result | None:
        """The picture that the server holds, whole or partial; None while there is none."""
        return self._result

    @property
    def error(self) -> JobFailedError | None:
        """Why it failed; None unless it did."""
        return self._error

    @property
    def device(self) -> str:
        """The device that paints or painted it; empty before the first attempt."""
        return self._device

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1; 0 before the first."""
        return self._message.attempt

    @property
    def last_sequence(self) -> int:
        """Sequence of the latest journaled event at the last `refresh()`."""
        return self._message.last_sequence

    @property
    def recipe(self) -> str:
        """The recipe's name."""
        return self._message.spec.recipe

    @property
    def create_time(self) -> datetime | None:
        """When it was created, in UTC."""
        return read_time(self._message.create_time)

    @property
    def start_time(self) -> datetime | None:
        """When its first attempt started; None before."""
        return read_time(self._message.start_time)

    @property
    def end_time(self) -> datetime | None:
        """When it ended, at the last `refresh()`; None before."""
        return read_time(self._message.end_time)

    @property
    def content(self) -> str:
        """The picture it paints: `images/{sha256}`, for `Client.download`."""
        return self._message.spec.content

    @property
    def message(self) -> job_pb2.Job:
        """The contract's own message at the last `refresh()`, with all that was asked for. Read only."""
        return self._message

    def __repr__(self) -> str:
        """Name and state."""
        return f"<{type(self).__name__} {self.id} {self.state}>"

    def _whole_result(self) -> Result:
        """The result of a job that succeeded; raises what the others ended with."""
        if self._state is JobState.FAILED:
            error = self._error or JobFailedError("The job failed; the server gave no reason.")
            raise marked(error, self._name)
        if self._state is JobState.CANCELLED:
            kept = "its last picture is kept" if self._result else "no step had been made"
            cancelled = JobCancelledError(f"Job {self.id} was cancelled; {kept}.", reason="CANCELLED")
            cancelled.partial = self._result
            raise marked(cancelled, self._name)
        if self._result is None:
            raise JobStateError(f"Job {self.id} is {self._state}: there is no result yet.")
        return self._result

    def _any_result(self) -> Result:
        if self._result is None:
            raise NotFoundError(f"Job {self.id} is {self._state} and has no picture.")
        return self._result

    def _picture(self, data: bytes, result: Result) -> "Image":
        """A PIL image that knows where it comes from."""
        image = decode(data)
        image.info.update(
            {
                "impasto.job": self._name,
                "impasto.recipe": self.recipe,
                "impasto.step": result.step,
                "impasto.partial": result.partial,
            }
        )
        return image


def marked(error: JobError, job: str) -> JobError:
    """The same error, with the job it is about."""
    error.job = job
    return error
