"""Jobs: what they are, what happened to them, where they wait, what they leave. Knows neither gRPC nor torch."""

from .blobs import BlobStore, ChecksumMismatch
from .errors import (
    DeviceUnknown,
    ImageNotFound,
    JobEnded,
    JobNotEnded,
    JobNotFound,
    QueueFull,
    Refusal,
    RequestIdReused,
    Stopping,
)
from .jobs import Jobs
from .record import Watched
from .state import Event, Job, JobError, JobSpec, Result, State, StateChanged, StyleSource

__all__ = [
    "BlobStore",
    "ChecksumMismatch",
    "DeviceUnknown",
    "Event",
    "ImageNotFound",
    "Job",
    "JobEnded",
    "JobError",
    "JobNotEnded",
    "JobNotFound",
    "JobSpec",
    "Jobs",
    "QueueFull",
    "Refusal",
    "RequestIdReused",
    "Result",
    "State",
    "StateChanged",
    "Stopping",
    "StyleSource",
    "Watched",
]
