"""Responses out: the jobs room's dataclasses to messages of the contract."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.timestamp_pb2 import Timestamp

from impasto.v1 import image_pb2, job_pb2
from impasto_server.codec import ImageFacts
from impasto_server.engine import Noticed, Progressed
from impasto_server.jobs import Event, Job, JobSpec, Result, State, StateChanged, Watched

from .errors import job_status
from .incoming import INITIAL_IMAGES

_STATES: Mapping[State, job_pb2.Job.State.ValueType] = {
    state: job_pb2.Job.State.Value(f"STATE_{state.name}") for state in State
}


def image_name(sha256: str) -> str:
    """The resource name of an image."""
    return f"images/{sha256}"


def image(sha256: str, size_bytes: int, facts: ImageFacts) -> image_pb2.Image:
    """An image as the wire has it."""
    return image_pb2.Image(
        name=image_name(sha256),
        size_bytes=size_bytes,
        width_px=facts.width_px,
        height_px=facts.height_px,
        format=image_format(facts.format),
        has_alpha=facts.has_alpha,
    )


def job(job: Job) -> job_pb2.Job:
    """A job as the wire has it."""
    message = job_pb2.Job(
        name=f"jobs/{job.id}",
        spec=_spec(job.spec),
        state=_STATES[job.state],
        create_time=_timestamp(job.create_time),
        attempt=job.attempt,
        last_sequence=job.last_sequence,
        device=job.device,
    )
    if job.start_time:
        message.start_time.CopyFrom(_timestamp(job.start_time))
    if job.end_time:
        message.end_time.CopyFrom(_timestamp(job.end_time))
    if job.progress:
        message.progress.CopyFrom(_progress(job.progress))
    if job.result:
        message.result.CopyFrom(_result(job.result))
    if job.error:
        message.error.CopyFrom(job_status(job.error))
    return message


def event(item: Event | Watched) -> job_pb2.JobEvent:
    """What a watcher gets."""
    if isinstance(item, Watched):
        preview = item.preview
        return job_pb2.JobEvent(
            time=_timestamp(item.time),
            attempt=item.attempt,
            preview=job_pb2.Preview(
                data=preview.data,
                format=image_format(preview.spec.format),
                width_px=preview.width_px,
                height_px=preview.height_px,
                step=preview.step,
                scale=preview.scale,
                coalesced=item.coalesced,
            ),
        )
    message = job_pb2.JobEvent(sequence=item.sequence, time=_timestamp(item.time), attempt=item.attempt)
    match item.body:
        case Progressed() as progress:
            message.progress.CopyFrom(_progress(progress))
        case Noticed(reason, text):
            message.notice.reason = reason
            message.notice.message = text
        case Result() as result:
            message.result.CopyFrom(_result(result))
        case StateChanged(state, queue_position, device, error, _):
            message.state.state = _STATES[state]
            message.state.queue_position = queue_position
            message.state.device = device
            if error:
                message.state.error.CopyFrom(job_status(error))
    return message


def image_format(name: str) -> image_pb2.ImageFormat.ValueType:
    """A codec's format name as the wire has it."""
    return image_pb2.ImageFormat.Value(f"IMAGE_FORMAT_{name}")


def _spec(spec: JobSpec) -> job_pb2.JobSpec:
    message = job_pb2.JobSpec(content=image_name(spec.content), recipe=spec.recipe, device=spec.device or "")
    if spec.continue_from:
        message.continue_from = f"jobs/{spec.continue_from}"
    for style in spec.styles:
        message.styles.add(
            image=None if style.gallery_style else image_name(style.sha256),
            gallery_style=style.gallery_style,
            weight=style.weight,
        )
    for name, value in spec.parameters.items():
        if name == "initial_image":
            value = next(number for number, word in INITIAL_IMAGES.items() if word == value)
        if isinstance(value, tuple):
            getattr(message.parameters, name).extend(value)
        else:
            setattr(message.parameters, name, value)
    message.result.format = image_format(spec.result_format.format)
    message.result.bits_per_channel = spec.result_format.bits_per_channel
    return message


def _progress(progress: Progressed) -> job_pb2.Progress:
    losses = progress.losses
    return job_pb2.Progress(
        scale=progress.scale,
        scales=progress.scales,
        step=progress.step,
        steps=progress.steps,
        losses=job_pb2.Losses(content=losses.content, style=losses.style, tv=losses.tv, total=losses.total),
        steps_per_second=progress.steps_per_second,
        seconds_left=progress.seconds_left,
        width_px=progress.width_px,
        height_px=progress.height_px,
    )


def _result(result: Result) -> job_pb2.Result:
    small = result.thumbnail
    return job_pb2.Result(
        image=image(result.sha256, result.size_bytes, result.facts),
        partial=result.partial,
        step=result.step,
        thumbnail=image(small.sha256, small.size_bytes, small.facts) if small else None,
    )


def _timestamp(seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMicroseconds(round(seconds * 1e6))
    return stamp
