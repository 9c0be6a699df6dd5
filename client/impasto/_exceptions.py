"""Everything that Impasto's client raises on purpose: one tree.

ImpastoError
├── InvalidRequestError (ValueError)      what was asked for can't be done; `field` says where
│   ├── ParameterError                    a value out of range, a recipe, style, layer, device nobody knows
│   └── ImageError                        a picture that can't be painted
│       └── ImageFileError (OSError)      a file that can't be read
│           └── ImageFileNotFoundError (FileNotFoundError)
├── NotFoundError (LookupError)           the server doesn't have it (any more)
│   ├── JobNotFoundError
│   └── ImageNotFoundError
├── JobStateError                         right request, wrong time: the job has ended, or hasn't
├── JobError                              how a job ended, when it has no whole picture
│   ├── JobFailedError
│   └── JobCancelledError
├── ResultTimeoutError (TimeoutError)     the job goes on; only the waiting ended
├── ConfigurationError                    an address or a configuration file that makes no sense
└── ServerError
    ├── ServerUnavailableError (ConnectionError)
    │   └── LocalServerError              the private local server can't be started, or died
    ├── AuthenticationError               the server doesn't know the token, or isn't the one that it should be
    ├── QueueFullError                    `retry_after_s` says when to come back
    ├── UnsupportedError                  the server can't do this
    │   └── ServerTooOldError             … because it is older than this client
    └── WeightsUnavailableError           the server knows these weights but can't load them
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from impasto._events import Result


class ImpastoError(Exception):
    """Root of the tree. Its text is written for the user: what was wrong, what was expected, what to do."""

    def __init__(
        self,
        message: str,
        *,
        details: str = "",
        reason: str = "",
        field: str = "",
        retry_after_s: float | None = None,
        metadata: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        """What gRPC or a log said, for those who look for the cause: often empty. A traceback shows it."""
        if details:
            self.add_note(details)
        self.reason = reason
        """`google.rpc.ErrorInfo.reason` of the server (`STYLE_UNKNOWN`); empty for what happened here."""
        self.field = field
        """Path of the field at fault (`spec.parameters.steps`); empty if it isn't about one."""
        self.retry_after_s = retry_after_s
        """Seconds after which the server wants to be asked again; None if it didn't say."""
        self.metadata = dict(metadata)
        """`google.rpc.ErrorInfo.metadata`."""

    def __str__(self) -> str:
        """The text for the user, whichever built-in exception it is as well."""
        return self.message


class InvalidRequestError(ImpastoError, ValueError):
    """What was asked for can't be done, now or later."""


class ParameterError(InvalidRequestError):
    """A value out of its range, or a name that the server doesn't know; the text suggests what it knows."""


class ImageError(InvalidRequestError):
    """A picture that can't be painted: unreadable, truncated, empty, animated, too large, of a strange format."""


class ImageFileError(ImageError, OSError):
    """A picture's file can't be read or written."""


class ImageFileNotFoundError(ImageFileError, FileNotFoundError):
    """There is no file of this name."""


class NotFoundError(ImpastoError, LookupError):
    """The server doesn't have it: deleted, expired, or never there."""


class JobNotFoundError(NotFoundError):
    """There is no such job."""


class ImageNotFoundError(NotFoundError):
    """There is no such image."""


class JobStateError(ImpastoError):
    """The job has ended (and can't be steered), or hasn't (and can't be deleted or continued)."""


class JobError(ImpastoError):
    """A job ended without a whole picture. `job` is its name."""

    job: str = ""


class JobFailedError(JobError):
    """A job failed; the text and `reason` are the server's."""


class JobCancelledError(JobError):
    """A job was cancelled. `partial` is its last picture, see `Job.partial()`; None if there is none."""

    partial: "Result | None" = None


class ResultTimeoutError(ImpastoError, TimeoutError):
    """A picture wasn't ready in time. The job goes on."""


class ConfigurationError(ImpastoError):
    """An address or a configuration file that makes no sense."""


class ServerError(ImpastoError):
    """The server, or the way to it, is at fault."""


class ServerUnavailableError(ServerError, ConnectionError):
    """Nobody answers at the server's address, or it is stopping."""


class LocalServerError(ServerUnavailableError):
    """The private local server can't be started, or died; `details` has the end of its log."""


class AuthenticationError(ServerError):
    """The server asks for a token or doesn't know this one, or it isn't the one that the invitation names."""


class QueueFullError(ServerError):
    """Too many jobs wait already; `retry_after_s` says when to come back."""


class UnsupportedError(ServerError):
    """The server can't do this."""


class ServerTooOldError(UnsupportedError):
    """The server is older than this client and lacks an RPC."""


class WeightsUnavailableError(ServerError):
    """The server knows these VGG weights but can't load them."""
