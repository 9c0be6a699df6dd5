"""The contract spoken by hand: what a client in another language would send, for tests below our own client."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from PIL import Image

from impasto.v1 import image_pb2, job_pb2, stylizer_pb2, stylizer_pb2_grpc

Stub = stylizer_pb2_grpc.StylizerStub


def upload_messages(data: bytes, *, chunk_bytes: int = 256 * 1024) -> Iterator[stylizer_pb2.UploadImageRequest]:
    """An announcement, then the chunks."""
    announcement = stylizer_pb2.ImageAnnouncement(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    yield stylizer_pb2.UploadImageRequest(announcement=announcement)
    for start in range(0, len(data), chunk_bytes):
        yield stylizer_pb2.UploadImageRequest(chunk=data[start : start + chunk_bytes])


def png(pixels: Any) -> bytes:
    """An array of uint8 as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def upload(stub: Stub, data: bytes) -> str:
    """Name of the stored image."""
    return stub.UploadImage(upload_messages(data)).image.name


def create_job(
    stub: Stub,
    content: str,
    *,
    recipe: str = "draft",
    style: str = "night-swirl",
    request_id: str = "",
    device: str = "",
    owner: str = "",
    result: job_pb2.ResultOptions | None = None,
    **parameters: Any,
) -> job_pb2.Job:
    """A small job: 64 px and 6 steps unless told otherwise."""
    chosen = {"size_px": 64, "steps": 6} | parameters
    spec = job_pb2.JobSpec(
        content=content,
        styles=[job_pb2.Style(gallery_style=style)],
        recipe=recipe,
        device=device,
        result=result,
        parameters=job_pb2.Parameters(**{name: value for name, value in chosen.items() if value is not None}),
    )
    request = stylizer_pb2.CreateJobRequest(spec=spec, request_id=request_id)
    return stub.CreateJob(request, metadata=[("impasto-client", owner)] if owner else None).job


def watch(
    stub: Stub,
    name: str,
    *,
    after_sequence: int = 0,
    previews: image_pb2.PreviewOptions | None = None,
    timeout_s: float = 90,
) -> Iterator[job_pb2.JobEvent]:
    """The job's events until it ends."""
    request = stylizer_pb2.WatchJobRequest(name=name, after_sequence=after_sequence, previews=previews)
    for response in stub.WatchJob(request, timeout=timeout_s):
        yield response.event


def sequences(events: Iterable[job_pb2.JobEvent]) -> list[int]:
    """Of those that are journaled."""
    return [event.sequence for event in events if event.sequence]


def get_job(stub: Stub, name: str) -> job_pb2.Job:
    """The job as it stands."""
    return stub.GetJob(stylizer_pb2.GetJobRequest(name=name)).job


def cancel(stub: Stub, name: str) -> job_pb2.Job:
    """The job as it stands after the request."""
    return stub.CancelJob(stylizer_pb2.CancelJobRequest(name=name)).job


def steer(stub: Stub, name: str, **weights: float) -> job_pb2.Job:
    """The job as it stands after a change of weights."""
    request = stylizer_pb2.UpdateJobRequest(name=name, weights=job_pb2.SteeringWeights(**weights))
    return stub.UpdateJob(request).job


def delete(stub: Stub, name: str) -> None:
    """Has an ended job forgotten."""
    stub.DeleteJob(stylizer_pb2.DeleteJobRequest(name=name))


def download(stub: Stub, name: str, offset_bytes: int = 0) -> bytes:
    """An image's bytes."""
    return b"".join(
        part.chunk
        for part in stub.DownloadImage(stylizer_pb2.DownloadImageRequest(name=name, offset_bytes=offset_bytes))
    )


def states(events: list[job_pb2.JobEvent]) -> list[str]:
    """The states a job went through, without repeats of a place in the queue."""
    names = [job_pb2.Job.State.Name(event.state.state) for event in events if event.WhichOneof("kind") == "state"]
    return [name.removeprefix("STATE_") for index, name in enumerate(names) if [name] != names[index - 1 : index]]


def ending(stub: Stub, name: str) -> str:
    """Follows a job to its end. Returns the state that it ends in."""
    return states(list(watch(stub, name)))[-1]


def wait_for_step(stub: Stub, name: str, step: int) -> None:
    """Returns when this step, or a later one, has been told."""
    next(event for event in watch(stub, name) if event.progress.step >= step)


def reason(error: grpc.RpcError) -> str:
    """The word for programs in an error's details."""
    return next(iter(_details(error, error_details_pb2.ErrorInfo))).reason


def fields(error: grpc.RpcError) -> list[str]:
    """The fields that an error complains about."""
    found = _details(error, error_details_pb2.BadRequest)
    return [violation.field for detail in found for violation in detail.field_violations]


def full(error: grpc.RpcError) -> list[str]:
    """What there is no more room for, as an error's QuotaFailure says."""
    found = _details(error, error_details_pb2.QuotaFailure)
    return [violation.description for detail in found for violation in detail.violations]


def retry_delay_s(error: grpc.RpcError) -> float:
    """How long an error asks to wait."""
    return next(iter(_details(error, error_details_pb2.RetryInfo))).retry_delay.ToTimedelta().total_seconds()


def _details(error: grpc.RpcError, kind: Any) -> list[Any]:
    status = rpc_status.from_call(error)
    assert status is not None, error
    found = []
    for packed in status.details:
        detail = kind()
        if packed.Unpack(detail):
            found.append(detail)
    return found
