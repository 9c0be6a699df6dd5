"""Impasto: neural style transfer, painted live by any GPU that a gRPC address reaches.

    >>> import impasto
    >>> impasto.stylize("photo.jpg", "night-swirl").save("painting.png")

`Client` and `AsyncClient` do the same with more say: jobs that outlive connections, live events, steering.
"""

from impasto._api import stylize
from impasto._async_client import AsyncClient
from impasto._async_job import AsyncJob, AsyncWatch
from impasto._client import Client
from impasto._events import (
    Event,
    JobEvent,
    JobState,
    Losses,
    Notice,
    Preview,
    Progress,
    Reconnecting,
    Result,
    StateChanged,
    StoredImage,
)
from impasto._exceptions import (
    AuthenticationError,
    ConfigurationError,
    ImageError,
    ImageFileError,
    ImageFileNotFoundError,
    ImageNotFoundError,
    ImpastoError,
    InvalidRequestError,
    JobCancelledError,
    JobError,
    JobFailedError,
    JobNotFoundError,
    JobStateError,
    LocalServerError,
    NotFoundError,
    ParameterError,
    QueueFullError,
    ResultTimeoutError,
    ServerError,
    ServerTooOldError,
    ServerUnavailableError,
    UnsupportedError,
    WeightsUnavailableError,
)
from impasto._job import Job, Watch
from impasto._reconnect import Reconnect
from impasto._requests import JobOptions, PreviewOptions
from impasto._server_info import (
    Device,
    GalleryStyle,
    Limits,
    Parameter,
    Recipe,
    ServerInfo,
    Weights,
)
from impasto._version import __version__

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "AsyncWatch",
    "AuthenticationError",
    "Client",
    "ConfigurationError",
    "Device",
    "Event",
    "GalleryStyle",
    "ImageError",
    "ImageFileError",
    "ImageFileNotFoundError",
    "ImageNotFoundError",
    "ImpastoError",
    "InvalidRequestError",
    "Job",
    "JobCancelledError",
    "JobError",
    "JobEvent",
    "JobFailedError",
    "JobNotFoundError",
    "JobOptions",
    "JobState",
    "JobStateError",
    "Limits",
    "LocalServerError",
    "Losses",
    "NotFoundError",
    "Notice",
    "Parameter",
    "ParameterError",
    "Preview",
    "PreviewOptions",
    "Progress",
    "QueueFullError",
    "Recipe",
    "Reconnect",
    "Reconnecting",
    "Result",
    "ResultTimeoutError",
    "ServerError",
    "ServerInfo",
    "ServerTooOldError",
    "ServerUnavailableError",
    "StateChanged",
    "StoredImage",
    "UnsupportedError",
    "Watch",
    "Weights",
    "WeightsUnavailableError",
    "__version__",
    "stylize",
]
