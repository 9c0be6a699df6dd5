"""What the jobs room refuses, and why. `reason` is a word for programs, the text is for people."""

from __future__ import annotations


class Refusal(Exception):
    """Root of what is refused here."""

    reason = "INTERNAL"


class JobNotFound(Refusal):
    """No such job: it was deleted, or never was."""

    reason = "JOB_NOT_FOUND"


class JobUnreadable(Refusal):
    """The journal has the job, but this version can't make anything of its row."""

    reason = "JOB_UNREADABLE"


class JobEnded(Refusal):
    """Too late: the job has ended."""

    reason = "JOB_ENDED"


class JobNotEnded(Refusal):
    """Too early: the job is queued or running."""

    reason = "JOB_NOT_ENDED"


class ImageNotFound(Refusal):
    """A job names an image that was never uploaded, or has been forgotten."""

    reason = "IMAGE_NOT_FOUND"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class SequenceUnknown(Refusal):
    """A watcher wants to go on behind an event that hasn't happened."""

    reason = "PARAMETER_INVALID"
    field = "after_sequence"


class DeviceUnknown(Refusal):
    """A job names a device that isn't there."""

    reason = "DEVICE_UNKNOWN"


class RequestIdReused(Refusal):
    """The same request id came with another body."""

    reason = "REQUEST_ID_REUSED"


class QueueFull(Refusal):
    """As many jobs wait as may."""

    reason = "QUEUE_FULL"

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NothingToContinue(Refusal):
    """A job is to go on from one that left nothing to go on from."""

    reason = "NOTHING_TO_CONTINUE"


class DiskFull(Refusal):
    """There is no room for new work."""

    reason = "DISK_FULL"


class Stopping(Refusal):
    """The server is on its way out."""

    reason = "SERVER_STOPPING"
