"""From what gRPC reports to our exceptions. Reads `google.rpc` details; does no I/O."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import grpc

from impasto import _exceptions as exceptions
from impasto._exceptions import ImpastoError

DOMAIN = "impasto"
DETAILS_KEY = "grpc-status-details-bin"

BY_REASON: dict[str, type[ImpastoError]] = {
    "IMAGE_UNREADABLE": exceptions.ImageError,
    "IMAGE_TRUNCATED": exceptions.ImageError,
    "IMAGE_EMPTY": exceptions.ImageError,
    "IMAGE_TOO_LARGE": exceptions.ImageError,
    "IMAGE_ANIMATED": exceptions.ImageError,
    "IMAGE_FORMAT_UNSUPPORTED": exceptions.ImageError,
    "CHECKSUM_MISMATCH": exceptions.ImageError,
    "IMAGE_NOT_FOUND": exceptions.ImageNotFoundError,
    "FIELD_REQUIRED": exceptions.InvalidRequestError,
    "PARAMETER_INVALID": exceptions.ParameterError,
    "RECIPE_UNKNOWN": exceptions.ParameterError,
    "STYLE_UNKNOWN": exceptions.ParameterError,
    "LAYER_UNKNOWN": exceptions.ParameterError,
    "WEIGHTS_UNKNOWN": exceptions.ParameterError,
    "DEVICE_UNKNOWN": exceptions.ParameterError,
    "WEIGHTS_UNAVAILABLE": exceptions.WeightsUnavailableError,
    "DIVERGED": exceptions.ParameterError,
    "JOB_NOT_FOUND": exceptions.JobNotFoundError,
    "JOB_ENDED": exceptions.JobStateError,
    "JOB_NOT_ENDED": exceptions.JobStateError,
    "NOTHING_TO_CONTINUE": exceptions.JobStateError,
    "REQUEST_ID_REUSED": exceptions.InvalidRequestError,
    "PAGE_TOKEN_INVALID": exceptions.InvalidRequestError,
    "TOKEN_REQUIRED": exceptions.AuthenticationError,
    "TOKEN_UNKNOWN": exceptions.AuthenticationError,
    "QUEUE_FULL": exceptions.QueueFullError,
    "DISK_FULL": exceptions.ServerError,
    "SERVER_STOPPING": exceptions.ServerUnavailableError,
    "NOT_IMPLEMENTED": exceptions.UnsupportedError,
    "WORKER_DIED": exceptions.ServerError,
    "OUT_OF_MEMORY": exceptions.ServerError,
    "INTERNAL": exceptions.ServerError,
}
"""The reasons of today's servers. A later server's new reason falls back on its status code."""

BY_CODE: dict[grpc.StatusCode, type[ImpastoError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: exceptions.InvalidRequestError,
    grpc.StatusCode.OUT_OF_RANGE: exceptions.InvalidRequestError,
    grpc.StatusCode.ALREADY_EXISTS: exceptions.InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: exceptions.NotFoundError,
    grpc.StatusCode.FAILED_PRECONDITION: exceptions.JobStateError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: exceptions.QueueFullError,
    grpc.StatusCode.UNAVAILABLE: exceptions.ServerUnavailableError,
    grpc.StatusCode.UNAUTHENTICATED: exceptions.AuthenticationError,
    grpc.StatusCode.UNIMPLEMENTED: exceptions.ServerTooOldError,
}


class StatusMessage(Protocol):
    """`google.rpc.Status`, which has no type stubs."""

    code: int
    message: str
    details: Iterable[Any]


@dataclass(frozen=True, slots=True)
class Details:
    """What a status carries beside its code: ErrorInfo, BadRequest, RetryInfo, each at most once."""

    message: str = ""
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    field_path: str = ""
    retry_after_s: float | None = None


def read_details(status: StatusMessage) -> Details:
    """The details of a `google.rpc.Status`; those of other domains are left alone."""
    # Imported here: an error is rare, and `import impasto` has a budget.
    from google.rpc import error_details_pb2

    reason, metadata, field_path, retry_after_s = "", {}, "", None
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        bad_request = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad_request) and bad_request.field_violations:
            field_path = bad_request.field_violations[0].field
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
    return Details(status.message, reason, metadata, field_path, retry_after_s)


def details_of(error: grpc.RpcError) -> Details:
    """The details of a failed call, of grpc and grpc.aio alike; empty if the answer carries none."""
    from google.protobuf.message import DecodeError
    from google.rpc import status_pb2

    # The stubs don't say that an entry is a pair, nor that there may be no metadata.
    trailing: Iterable[tuple[str, str | bytes]] = cast(Any, error).trailing_metadata() or ()
    for key, value in trailing:
        if key == DETAILS_KEY and isinstance(value, bytes):
            status = status_pb2.Status()
            try:
                status.ParseFromString(value)
            except DecodeError:
                break
            return read_details(status)
    return Details()


def translate(error: grpc.RpcError, *, address: str, rpc: str) -> ImpastoError:
    """The exception that stands for a failed call of `rpc` at `address`."""
    code, text, details = error.code(), (error.details() or "").strip(), details_of(error)
    said = f"{rpc}: {text}" if text else ""
    kind = BY_REASON.get(details.reason) or BY_CODE.get(code, exceptions.ServerError)
    if details.reason:
        message, said = details.message or text, ""
    elif code is grpc.StatusCode.UNAVAILABLE:
        message = unavailable_text(address, text)
    elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
        kind = exceptions.ServerUnavailableError
        message = (
            f"The server at {address} did not answer in time. "
            "Check the address and the network, or look whether the server is overloaded."
        )
    elif code is grpc.StatusCode.UNIMPLEMENTED:
        message = f"The server at {address} does not know {rpc}: it is older than this client. Update it."
    elif code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        # Without a reason of ours it is gRPC or a proxy that speaks: of a message's size, say.
        kind, message = exceptions.ServerError, f"What was asked of {address} is more than it takes."
    else:
        message, said = f"The server at {address} failed.", f"{rpc}: {text or 'no reason given'} ({code.name})"
    return kind(
        message,
        details=said,
        reason=details.reason,
        field=details.field_path,
        retry_after_s=details.retry_after_s,
        metadata=details.metadata,
    )


def unavailable_text(address: str, text: str) -> str:
    """What to tell a user whose server doesn't answer; `text` is what gRPC said."""
    hint = ""
    if "Socket closed" in text:  # what a TLS server does to a client that doesn't encrypt
        hint = "If it lets in guests only, it wants an invitation: `impasto connect`. "
    return (
        f"No Impasto server answers at {address}. {hint}"
        "Check that it runs (`impasto serve`) and that the address is right "
        "(argument `server`, environment IMPASTO_SERVER, or the configuration file)."
    )


def server_too_old(rpc: str, address: str, version: str) -> ImpastoError:
    """The answer to UNIMPLEMENTED, once the server's version is known ("" if even that can't be asked)."""
    from impasto._version import __version__

    if version:
        message = (
            f"The server at {address} is version {version} and does not know {rpc}; "
            f"this client is version {__version__}. Update the server."
        )
    else:
        message = (
            f"What answers at {address} does not know {rpc} and does not tell its version: "
            f"it is no Impasto server, or one much older than this client ({__version__})."
        )
    return exceptions.ServerTooOldError(message, metadata={"rpc": rpc, "version": version})


def is_lost_contact(error: grpc.RpcError) -> bool:
    """True if the same call may well succeed when it is made again."""
    code = error.code()
    if code is grpc.StatusCode.UNAVAILABLE:
        return True
    # A server that stops cancels the calls it still has; a cancelling client never asks this.
    if code is grpc.StatusCode.CANCELLED:
        return True
    # Proxies cut a stream like this; a server's own INTERNAL carries an ErrorInfo.
    return code is grpc.StatusCode.INTERNAL and "RST_STREAM" in (error.details() or "")


def lacks_rpc(error: grpc.RpcError) -> bool:
    """True if the server has no such RPC, as opposed to a feature it names in its answer."""
    return error.code() is grpc.StatusCode.UNIMPLEMENTED and not details_of(error).reason
