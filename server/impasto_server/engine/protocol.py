"""What an engine is: the words that cross between those who want a picture painted and those who paint it.

Frozen dataclasses only, no torch: the front door and the workers import this module alike. Blobs (pictures and
checkpoints) are named by the SHA-256 of their bytes, never by a path: how bytes get to a worker and back is the
engine's own affair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from impasto_server.codec import ImageFacts
from impasto_server.recipes import Recipe

if TYPE_CHECKING:
    from .attempt import Attempt


@dataclass(frozen=True, slots=True)
class ResultFormat:
    """How a result's file is written: its format, and 8 or 16 bits a channel."""

    format: Literal["PNG", "TIFF"] = "PNG"
    bits_per_channel: int = 8


@dataclass(frozen=True, slots=True)
class Task:
    """A picture to be painted, from its beginning or from a checkpoint on."""

    content: str
    styles: tuple[tuple[str, float], ...]
    recipe: Recipe
    checkpoint: str | None = None
    """Where an earlier attempt of the same job got to."""
    begin_from: str | None = None
    """Another job's checkpoint, whose picture and optimiser state this one begins with."""
    steerings: tuple[Steer, ...] = ()
    checkpoint_interval_s: float = 5.0
    result_format: ResultFormat = ResultFormat()
    memory_deaths: int = 0
    """How many earlier attempts of this job got nowhere because their worker was killed, probably for lack of memory.
    It never goes down, so that what is painted smaller stays smaller."""

    @property
    def blobs(self) -> frozenset[str]:
        """Everything that has to be at hand."""
        also = (blob for blob in (self.checkpoint, self.begin_from) if blob)
        return frozenset({self.content, *(style for style, _weight in self.styles), *also})


@dataclass(frozen=True, slots=True)
class RenderTask:
    """The picture that a checkpoint holds, to be written as a result: no step is made, any processor will do."""

    content: str
    recipe: Recipe
    checkpoint: str
    result_format: ResultFormat = ResultFormat()

    @property
    def blobs(self) -> frozenset[str]:
        """Everything that has to be at hand."""
        return frozenset({self.content, self.checkpoint})


@dataclass(frozen=True, slots=True)
class Steering:
    """New weights for a run, from its next step on; None leaves a weight as it is."""

    content_weight: float | None = None
    style_weight: float | None = None
    tv_weight: float | None = None


@dataclass(frozen=True, slots=True)
class Steer:
    """A numbered change of weights. `step` is the first step made with it; None: the next one, whichever that is."""

    number: int
    steering: Steering
    step: int | None = None


@dataclass(frozen=True, slots=True)
class PreviewSpec:
    """How somebody wants to see the picture: longest side in pixels, one of `codec.PREVIEW_FORMATS`, quality 1–100."""

    max_size_px: int = 512
    format: str = "JPEG"
    quality: int = 85


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """All the previews that are wanted now, and how often at most. No specs: nobody looks."""

    specs: frozenset[PreviewSpec] = frozenset()
    interval_s: float = 0.25


@dataclass(frozen=True, slots=True)
class Cancel:
    """The attempt is to end within a step; what is there of the picture is written."""


Command = Steer | PreviewRequest | Cancel


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """Something that paints. `memory_bytes` is 0 where it is unknown. `notices` say what it isn't trusted with."""

    name: str
    description: str
    memory_bytes: int = 0
    notices: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """`cuda`, `mps`, `cpu`, …"""
        return self.name.partition(":")[0]


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """One device that is ready to paint. The id is unique within its engine and stays with the device."""

    id: str
    machine: str
    device: DeviceInfo


@dataclass(frozen=True, slots=True)
class Starting:
    """A worker is on its way."""

    worker_id: str


@dataclass(frozen=True, slots=True)
class Joined:
    """A worker is ready, for the first time or again."""

    worker: WorkerInfo


@dataclass(frozen=True, slots=True)
class Left:
    """A worker can't be had: it died, or never got ready, or its machine is away. `Joined` says when it is back."""

    worker_id: str
    why: str


Presence = Starting | Joined | Left


@dataclass(frozen=True, slots=True)
class Losses:
    """The terms of the objective, weighted, and their sum."""

    content: float
    style: float
    tv: float
    total: float


@dataclass(frozen=True, slots=True)
class Progressed:
    """A step was made. Scales and steps count from 1; rates are of the recent past. `ends_scale`: it was the last of
    its scale."""

    scale: int
    scales: int
    step: int
    steps: int
    height_px: int
    width_px: int
    losses: Losses
    steps_per_second: float
    seconds_left: float
    ends_scale: bool = False


@dataclass(frozen=True, slots=True)
class Previewed:
    """The picture after a step, encoded as one spec asked for."""

    spec: PreviewSpec
    data: bytes
    width_px: int
    height_px: int
    step: int
    scale: int


@dataclass(frozen=True, slots=True)
class Steered:
    """A change of weights took effect: `step` was the first one made with it."""

    number: int
    step: int


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that an attempt has written. `path` is where they lie on the worker's machine; None once they are brought
    to whoever wanted them (`BlobSink`)."""

    sha256: str
    size_bytes: int
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """The run could go on from after this step, whatever happens."""

    step: int
    blob: Blob


@dataclass(frozen=True, slots=True)
class Noticed:
    """The run goes on otherwise than was to be expected. `reason` is a word for programs, `message` a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A result's file. `thumbnail` is a small one of the same picture; None if it could not be written."""

    blob: Blob
    facts: ImageFacts
    thumbnail: Picture | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The picture is written, whole or partial. None: the run was cancelled before there was one, at step 0."""

    step: int
    partial: bool
    picture: Picture | None


@dataclass(frozen=True, slots=True)
class Failed:
    """The run is over without a picture. `reason` is a word for programs, `message` tells a user what to do."""

    reason: str
    message: str


LostReason = Literal["never_ready", "out_of_memory", "crashed", "gone"]


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker is away, and with it what it had made since its last checkpoint. `message` says how it went.

    `never_ready`: its device can't be had. `out_of_memory`: it was killed for its memory. `crashed`: it died otherwise.
    `gone`: its machine or the way to it is away, or it was told to end before it had begun.
    """

    reason: LostReason
    message: str


Report = Progressed | Previewed | Steered | Checkpointed | Noticed
End = Finished | Failed | Lost


class BlobSource(Protocol):
    """Where an engine gets blobs from."""

    def path(self, sha256: str) -> Path:
        """A finished file with these bytes; it stays for as long as a job refers to it."""


class BlobSink(Protocol):
    """Where an engine brings blobs to."""

    def scratch_path(self) -> Path:
        """A name nobody has, on the file system of the blobs."""

    async def adopt(self, blob: Blob) -> Blob:
        """Takes the finished file at `blob.path` in. Raises OSError."""


class Files(BlobSource, Protocol):
    """Blobs on the painter's own machine: where those of its task are, and where it writes."""

    def scratch_path(self) -> Path:
        """A name nobody has. Raises OSError if nothing can be written there."""


class Engine(Protocol):
    """Who paints: workers that come and go, one attempt at a time each."""

    async def start(self, tell: Callable[[Presence], None]) -> None:
        """Sets the workers going and returns; `tell` is called on the loop with what becomes of them."""

    def begin(self, worker_id: str, task: Task, source: BlobSource, sink: BlobSink) -> Attempt:
        """Has a worker paint that has joined and isn't busy."""

    def render(self, task: RenderTask, source: BlobSource, sink: BlobSink) -> Attempt:
        """Has the picture of a checkpoint written, beside whatever the workers do."""

    async def stop(self) -> None:
        """Ends every worker. No process is left behind."""
