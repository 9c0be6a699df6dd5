"""Jobs: what they are, what happened to them, where they wait, what they leave. Knows neither gRPC nor torch."""

from .blobs import ChecksumMismatch, IncomingBlob
from .errors import (
    DeviceUnknown,
    DiskFull,
    ImageNotFound,
    JobEnded,
    JobNotEnded,
    JobNotFound,
    JobUnreadable,
    NothingToContinue,
    QueueFull,
    Refusal,
    RequestIdReused,
    SequenceUnknown,
    Stopping,
)
from .jobs import Device, Jobs, Limits
from .journal import JournalError
from .live_job import Watched
from .state import Event, Job, JobError, JobSpec, Result, State, StateChanged, StyleSource, resolve
from .storage import Storage

__all__ = [
    "ChecksumMismatch",
    "Device",
    "DeviceUnknown",
    "DiskFull",
    "Event",
    "ImageNotFound",
    "IncomingBlob",
    "Job",
    "JobEnded",
    "JobError",
    "JobNotEnded",
    "JobNotFound",
    "JobSpec",
    "JobUnreadable",
    "Jobs",
    "JournalError",
    "Limits",
    "NothingToContinue",
    "QueueFull",
    "Refusal",
    "RequestIdReused",
    "Result",
    "SequenceUnknown",
    "State",
    "StateChanged",
    "Stopping",
    "Storage",
    "StyleSource",
    "Watched",
    "resolve",
]
