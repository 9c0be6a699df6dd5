"""From what gRPC reports to what a user reads."""

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

import impasto
from impasto import _errors


class Failed(grpc.RpcError):
    """A failed call, as grpc and grpc.aio show it."""

    def __init__(self, code: grpc.StatusCode, text: str = "", details: bytes | None = None) -> None:
        self._code, self._text, self._details = code, text, details

    def code(self):
        return self._code

    def details(self):
        return self._text

    def trailing_metadata(self):
        return (("grpc-status-details-bin", self._details),) if self._details is not None else None


def refusal(code: grpc.StatusCode, text: str, reason: str, *more, domain: str = "impasto") -> Failed:
    status = status_pb2.Status(code=code.value[0], message=text)
    for detail in (error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata={"k": "v"}), *more):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return Failed(code, text, status.SerializeToString())


def translate(error: grpc.RpcError) -> impasto.ImpastoError:
    return _errors.translate(error, address="gpu:50051", rpc="CreateJob")


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("IMAGE_UNREADABLE", impasto.ImageError),
        ("CHECKSUM_MISMATCH", impasto.ImageError),
        ("IMAGE_NOT_FOUND", impasto.ImageNotFoundError),
        ("PARAMETER_INVALID", impasto.ParameterError),
        ("STYLE_UNKNOWN", impasto.ParameterError),
        ("WEIGHTS_UNAVAILABLE", impasto.WeightsUnavailableError),
        ("JOB_NOT_FOUND", impasto.JobNotFoundError),
        ("JOB_ENDED", impasto.JobStateError),
        ("NOTHING_TO_CONTINUE", impasto.JobStateError),
        ("QUEUE_FULL", impasto.QueueFullError),
        ("DISK_FULL", impasto.ServerError),
        ("SERVER_STOPPING", impasto.ServerUnavailableError),
        ("NOT_IMPLEMENTED", impasto.UnsupportedError),
        ("OUT_OF_MEMORY", impasto.ServerError),
    ],
)
def test_a_reason_decides_the_exception_and_the_servers_text_stays(reason, kind):
    error = translate(refusal(grpc.StatusCode.INVALID_ARGUMENT, "What to do about it.", reason))
    assert type(error) is kind
    assert str(error) == "What to do about it."
    assert error.reason == reason
    assert error.metadata == {"k": "v"}


def test_a_field_at_fault_is_named():
    violation = error_details_pb2.BadRequest.FieldViolation(field="spec.parameters.steps")
    bad = error_details_pb2.BadRequest(field_violations=[violation])
    error = translate(refusal(grpc.StatusCode.INVALID_ARGUMENT, "steps is 0", "PARAMETER_INVALID", bad))
    assert error.field == "spec.parameters.steps"


def test_a_full_queue_says_when_to_come_back():
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(2500)
    error = translate(refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "Full.", "QUEUE_FULL", retry))
    assert isinstance(error, impasto.QueueFullError)
    assert error.retry_after_s == 2.5


def test_a_later_servers_new_reason_falls_back_on_its_status():
    error = translate(refusal(grpc.StatusCode.INVALID_ARGUMENT, "New trouble.", "SOMETHING_NEW"))
    assert type(error) is impasto.InvalidRequestError
    assert (str(error), error.reason) == ("New trouble.", "SOMETHING_NEW")


def test_another_domains_reason_is_not_ours():
    error = translate(refusal(grpc.StatusCode.UNAVAILABLE, "lb", "QUEUE_FULL", domain="proxy.example"))
    assert type(error) is impasto.ServerUnavailableError
    assert error.reason == ""


def test_a_silent_server_is_named_with_what_to_do():
    error = translate(Failed(grpc.StatusCode.UNAVAILABLE, "connection refused"))
    assert isinstance(error, ConnectionError)
    assert str(error) == (
        "No Impasto server answers at gpu:50051. Check that it runs (`impasto serve`) and "
        "that the address is right (argument `server`, environment IMPASTO_SERVER, or the configuration file)."
    )


def test_a_missed_deadline_is_a_server_that_does_not_answer():
    error = translate(Failed(grpc.StatusCode.DEADLINE_EXCEEDED))
    assert isinstance(error, impasto.ServerUnavailableError)
    assert "gpu:50051 did not answer in time" in str(error)


def test_details_that_are_no_status_are_passed_over():
    error = translate(Failed(grpc.StatusCode.INTERNAL, "boom", b"\xff\xff\xff"))
    assert str(error) == "The server at gpu:50051 failed."
    assert error.details == "CreateJob: boom (INTERNAL)"


def test_what_grpc_says_is_in_the_details_and_not_in_the_sentence():
    said = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:9: Connection refused"
    error = translate(Failed(grpc.StatusCode.UNAVAILABLE, said))
    assert "UNKNOWN" not in str(error)
    assert error.details == f"CreateJob: {said}"
    assert error.__notes__ == [error.details], "a traceback shows them"


def test_what_a_server_of_ours_refuses_needs_no_details():
    assert translate(refusal(grpc.StatusCode.NOT_FOUND, "Gone.", "JOB_NOT_FOUND")).details == ""


def test_a_server_that_is_too_old_is_told_from_one_that_is_something_else():
    assert "version 0.0.9 and does not know UpdateJob" in str(_errors.server_too_old("UpdateJob", "gpu:1", "0.0.9"))
    assert "no Impasto server, or one much older" in str(_errors.server_too_old("GetServerInfo", "gpu:1", ""))


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (Failed(grpc.StatusCode.UNAVAILABLE), True),
        (Failed(grpc.StatusCode.CANCELLED), True),
        (Failed(grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2"), True),
        (Failed(grpc.StatusCode.INTERNAL, "boom"), False),
        (Failed(grpc.StatusCode.NOT_FOUND), False),
        (Failed(grpc.StatusCode.DEADLINE_EXCEEDED), False),
    ],
)
def test_only_lost_contact_is_worth_another_try(error, lost):
    assert _errors.is_lost_contact(error) is lost
