"""What happens to a job, as frozen records, and how they are read from the contract's messages."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from impasto import _errors, _exceptions
from impasto.v1 import image_pb2, job_pb2

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp
    from PIL.Image import Image


class JobState(StrEnum):
    """How a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """A state that only a later version of this client knows."""

    @property
    def ended(self) -> bool:
        """True if nothing will happen to the job any more."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """An image that a server holds; `Client.submit` takes it as a content or style."""

    name: str
    """`images/{sha256}`."""
    size_bytes: int
    width_px: int
    """As seen, after the EXIF rotation; so is the height."""
    height_px: int
    format: str
    """`png`, `jpeg`, `webp`, `tiff`, `bmp`, `ppm`; empty if unknown."""
    has_alpha: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """The terms of the objective, each already multiplied by its weight."""

    content: float
    style: float
    tv: float
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all events share."""

    sequence: int
    """From 1, growing by one per journaled event. 0 for what isn't journaled, where the newest takes the place of what
    wasn't read: previews, progress in between, places in the queue; and for what happens in the client."""
    time: datetime
    """When it happened, in UTC."""
    attempt: int
    """The attempt it happened in, from 1; 0 before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged(Event):
    """The job is in another state now."""

    state: JobState
    queue_position: int = 0
    """QUEUED only: place in the queue, from 1; 0 if it isn't known yet."""
    device: str = ""
    """RUNNING only: the device that paints."""
    error: _exceptions.JobFailedError | None = None
    """FAILED only: why, and what can be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Event):
    """A step was made."""

    scale: int
    """Pyramid level being painted, from 1, the coarsest first."""
    scales: int
    step: int
    """Steps made over all scales, from 1."""
    steps: int
    losses: Losses
    steps_per_second: float
    seconds_left: float
    width_px: int
    """Width of this scale."""
    height_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview(Event):
    """A look at the picture while it is painted."""

    data: bytes
    """The encoded picture."""
    format: str
    """`jpeg`, `png` or `webp`."""
    width_px: int
    height_px: int
    step: int
    scale: int
    coalesced: int
    """Newer previews replaced this many that came too fast for this watcher."""

    @property
    def image(self) -> "Image":
        """The picture, decoded anew at each look."""
        from impasto._images import decode

        return decode(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(Event):
    """The picture, whole or partial; comes before the terminal state. `Job.result()` fetches it."""

    stored: StoredImage
    partial: bool
    """True if the job was stopped before its last step."""
    step: int
    thumbnail: StoredImage | None = None
    """A small picture of it for lists, `Client.download` fetches it: JPEG in sRGB, long side at most 256 px. None from
    servers that made none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Event):
    """The job goes on otherwise than was to be expected: in smaller tiles, say, because memory ran out."""

    reason: str
    """A word for programs: `TILES_SMALLER`, `WORKER_KILLED`, … New ones may come at any time."""
    message: str
    """One sentence for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnecting(Event):
    """Contact was lost; the job goes on meanwhile, and watching goes on where it stood."""

    retry: int
    """From 1; counted anew after each contact."""
    delay_s: float
    """How long the client waits before this retry."""
    error: str
    """What the connection said."""


JobEvent: TypeAlias = StateChanged | Progress | Preview | Result | Notice | Reconnecting


def read_event(event: job_pb2.JobEvent) -> JobEvent | None:
    """The record of a message; None for a kind that only a later client knows."""
    sequence, time, attempt = event.sequence, read_time(event.time) or now(), event.attempt
    match event.WhichOneof("kind"):
        case "state":
            error = read_job_error(event.state.error) if event.state.HasField("error") else None
            return StateChanged(
                sequence=sequence,
                time=time,
                attempt=attempt,
                state=read_state(event.state.state),
                queue_position=event.state.queue_position,
                device=event.state.device,
                error=error,
            )
        case "progress":
            return read_progress(event.progress, sequence, time, attempt)
        case "preview":
            preview = event.preview
            return Preview(
                sequence=sequence,
                time=time,
                attempt=attempt,
                data=preview.data,
                format=read_format(preview.format),
                width_px=preview.width_px,
                height_px=preview.height_px,
                step=preview.step,
                scale=preview.scale,
                coalesced=preview.coalesced,
            )
        case "result":
            return read_result(event.result, sequence, time, attempt)
        case "notice":
            return Notice(
                sequence=sequence,
                time=time,
                attempt=attempt,
                reason=event.notice.reason,
                message=event.notice.message,
            )
        case _:
            return None


def read_progress(message: job_pb2.Progress, sequence: int, time: datetime, attempt: int) -> Progress:
    """The record of a step."""
    losses = message.losses
    return Progress(
        sequence=sequence,
        time=time,
        attempt=attempt,
        scale=message.scale,
        scales=message.scales,
        step=message.step,
        steps=message.steps,
        losses=Losses(content=losses.content, style=losses.style, tv=losses.tv, total=losses.total),
        steps_per_second=message.steps_per_second,
        seconds_left=message.seconds_left,
        width_px=message.width_px,
        height_px=message.height_px,
    )


def read_result(message: job_pb2.Result, sequence: int, time: datetime, attempt: int) -> Result:
    """The record of a picture."""
    return Result(
        sequence=sequence,
        time=time,
        attempt=attempt,
        stored=read_image(message.image),
        partial=message.partial,
        step=message.step,
        thumbnail=read_image(message.thumbnail) if message.HasField("thumbnail") else None,
    )


def read_image(message: image_pb2.Image) -> StoredImage:
    """The record of an image at rest."""
    return StoredImage(
        name=message.name,
        size_bytes=message.size_bytes,
        width_px=message.width_px,
        height_px=message.height_px,
        format=read_format(message.format),
        has_alpha=message.has_alpha,
    )


def read_job_error(status: _errors.StatusMessage) -> _exceptions.JobFailedError:
    """Why a job failed, ready to be raised."""
    details = _errors.read_details(status)
    return _exceptions.JobFailedError(
        status.message or "The job failed; the server gave no reason.",
        reason=details.reason,
        field=details.field_path,
        metadata=details.metadata,
    )


def read_state(value: int) -> JobState:
    """The state of the contract's number."""
    if value not in job_pb2.Job.State.values():
        return JobState.UNKNOWN
    name = job_pb2.Job.State.Name(job_pb2.Job.State.ValueType(value))
    return JobState(name.removeprefix("STATE_").lower().replace("unspecified", "unknown"))


def read_format(value: int) -> str:
    """`png`, `jpeg`, … of the contract's number; empty if it is none we know."""
    if value not in image_pb2.ImageFormat.values() or value == image_pb2.IMAGE_FORMAT_UNSPECIFIED:
        return ""
    name = image_pb2.ImageFormat.Name(image_pb2.ImageFormat.ValueType(value))
    return name.removeprefix("IMAGE_FORMAT_").lower()


def read_time(timestamp: "Timestamp") -> datetime | None:
    """A point in time in UTC; None if it isn't set."""
    if not timestamp.seconds and not timestamp.nanos:
        return None
    return timestamp.ToDatetime(tzinfo=UTC)


def now() -> datetime:
    """The client's clock, for events that happen here."""
    return datetime.now(tz=UTC)
