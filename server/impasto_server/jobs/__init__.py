"""Jobs: what they are, what happened to them, where they wait, what they leave. Knows neither gRPC nor torch."""

from .blobs import BlobStore, ChecksumMismatch
from .errors import (
    DeviceUnknown,
    DiskFull,
    ImageNotFound,
    JobEnded,
    JobNotEnded,
    JobNotFound,
    NothingToContinue,
    QueueFull,
    Refusal,
    RequestIdReused,
    Stopping,
)
from .jobs import Jobs, Keeping
from .journal import Journal, JournalError
from .record import Watched
from .state import Event, Job, JobError, JobSpec, Result, State, StateChanged, StyleSource
from .storage import Storage

__all__ = [
    "BlobStore",
    "ChecksumMismatch",
    "DeviceUnknown",
    "DiskFull",
    "Event",
    "ImageNotFound",
    "Job",
    "JobEnded",
    "JobError",
    "JobNotEnded",
    "JobNotFound",
    "JobSpec",
    "Jobs",
    "Journal",
    "JournalError",
    "Keeping",
    "NothingToContinue",
    "QueueFull",
    "Refusal",
    "RequestIdReused",
    "Result",
    "State",
    "StateChanged",
    "Stopping",
    "Storage",
    "StyleSource",
    "Watched",
]
