"""Errors on the wire: a refusal becomes a gRPC status with details, a defect becomes INTERNAL without a traceback."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from impasto_server.codec import ImageError
from impasto_server.jobs import (
    ChecksumMismatch,
    DeviceUnknown,
    DiskFull,
    ImageNotFound,
    JobEnded,
    JobError,
    JobNotEnded,
    JobNotFound,
    JobUnreadable,
    NothingToContinue,
    QueueFull,
    RequestIdReused,
    SequenceUnknown,
    Stopping,
)
from impasto_server.recipes import RecipeError

from .interception import Call, Continuation, Handler

DOMAIN = "impasto"

log = logging.getLogger(__name__)


class BadRequest(ValueError):
    """Something is wrong with one field of a request; `field` is its path from the request's root."""

    def __init__(self, field: str, message: str, reason: str = "PARAMETER_INVALID") -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason


class Unauthenticated(Exception):
    """A caller that isn't let in."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


_CODES: dict[type[Exception], tuple[int, str]] = {
    BadRequest: (code_pb2.INVALID_ARGUMENT, ""),
    Unauthenticated: (code_pb2.UNAUTHENTICATED, ""),
    RecipeError: (code_pb2.INVALID_ARGUMENT, "PARAMETER_INVALID"),
    ImageError: (code_pb2.INVALID_ARGUMENT, ""),
    ChecksumMismatch: (code_pb2.INVALID_ARGUMENT, "CHECKSUM_MISMATCH"),
    DeviceUnknown: (code_pb2.INVALID_ARGUMENT, ""),
    SequenceUnknown: (code_pb2.INVALID_ARGUMENT, ""),
    ImageNotFound: (code_pb2.FAILED_PRECONDITION, ""),
    JobNotFound: (code_pb2.NOT_FOUND, ""),
    JobUnreadable: (code_pb2.DATA_LOSS, ""),
    JobEnded: (code_pb2.FAILED_PRECONDITION, ""),
    JobNotEnded: (code_pb2.FAILED_PRECONDITION, ""),
    RequestIdReused: (code_pb2.ALREADY_EXISTS, ""),
    QueueFull: (code_pb2.RESOURCE_EXHAUSTED, ""),
    Stopping: (code_pb2.UNAVAILABLE, ""),
    NothingToContinue: (code_pb2.FAILED_PRECONDITION, ""),
    DiskFull: (code_pb2.RESOURCE_EXHAUSTED, ""),
}
# What kind of name a recipe's field holds decides the reason; the rest are plain parameters.
_RECIPE_REASONS = {
    "recipe": "RECIPE_UNKNOWN",
    "style_layers": "LAYER_UNKNOWN",
    "content_layers": "LAYER_UNKNOWN",
    "weights": "WEIGHTS_UNKNOWN",
}
_RECIPE_PATHS = {"recipe": "spec.recipe"}


def to_status(error: Exception) -> status_pb2.Status:
    """The status a client gets. What isn't a known refusal is logged under an id, and only the id goes out."""
    code, reason = next(
        (_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), (code_pb2.INTERNAL, "INTERNAL")
    )
    if code == code_pb2.INTERNAL:
        incident = uuid.uuid4().hex[:8]
        log.error("incident %s", incident, exc_info=error)
        return _status(code, f"The server failed for a reason of its own; its log says more under {incident}.", reason)
    field = getattr(error, "field", None)
    if isinstance(error, RecipeError):
        reason = _RECIPE_REASONS.get(error.field, reason)
        field = _RECIPE_PATHS.get(error.field, f"spec.parameters.{error.field}")
    elif isinstance(error, DeviceUnknown):
        field = "spec.device"
    details: list[Message] = []
    if field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=str(error))
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, QueueFull):
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(error.retry_after_s * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if isinstance(error, DiskFull):
        full = error_details_pb2.QuotaFailure.Violation(subject="disk", description=str(error))
        details.append(error_details_pb2.QuotaFailure(violations=[full]))
    return _status(code, str(error), getattr(error, "reason", "") or reason, *details)


def job_status(error: JobError) -> status_pb2.Status:
    """Why a job failed, in the shape of an RPC's error."""
    return _status(_CODES_OF_JOBS.get(error.reason, code_pb2.INTERNAL), error.message, error.reason)


_CODES_OF_JOBS: Mapping[str, int] = {
    "OUT_OF_MEMORY": code_pb2.RESOURCE_EXHAUSTED,
    "DIVERGED": code_pb2.INVALID_ARGUMENT,  # asked for with such a learning rate
}


def _status(code: int, message: str, reason: str, *details: Message) -> status_pb2.Status:
    status = status_pb2.Status(code=code, message=message)
    for detail in (error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN), *details):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns what handlers raise into statuses, for all of Impasto's RPCs."""

    async def intercept_service(self, continuation: Continuation, handler_call_details: Call) -> Handler:
        handler: Any = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith("/impasto."):
            return handler  # type: ignore[no-any-return]
        serializers = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(_answering(handler.unary_unary), **serializers)
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(_answering(handler.stream_unary), **serializers)
        return grpc.unary_stream_rpc_method_handler(_streaming(handler.unary_stream), **serializers)


def _answering(behaviour: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    async def answer(request: Any, context: Any) -> Any:
        try:
            return await behaviour(request, context)
        except Exception as error:
            await abort(context, error)

    return answer


def _streaming(
    behaviour: Callable[[Any, Any], AsyncIterator[Any]],
) -> Callable[[Any, Any], AsyncIterator[Any]]:
    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            async for response in behaviour(request, context):
                yield response
        except Exception as error:
            await abort(context, error)

    return stream


async def abort(context: Any, error: Exception) -> NoReturn:
    """Ends a call with the status that stands for an error."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    status = to_status(error)
    codes: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
    metadata = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(codes[status.code], status.message, trailing_metadata=metadata)
    raise AssertionError("abort raises")
