"""What an engine is: the words that cross between those who want a picture painted and those who paint it.

Frozen dataclasses only, no torch: the front door and the worker processes import this module alike.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from impasto_server.recipes import Recipe


@dataclass(frozen=True, slots=True)
class ResultFormat:
    """How a result's file is written: its format, and 8 or 16 bits a channel."""

    format: Literal["PNG", "TIFF"] = "PNG"
    bits_per_channel: int = 8


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt at a picture. Paths are of finished files; `output` is where the result is to be written."""

    content: Path
    styles: tuple[tuple[Path, float], ...]
    recipe: Recipe
    output: Path
    checkpoint: Path
    """Written every `checkpoint_interval_s` and at the end; if it is there, the attempt goes on from it."""
    begin_from: Path | None = None
    """Another job's checkpoint, whose picture and optimiser state this one begins with."""
    steerings: tuple[Steer, ...] = ()
    checkpoint_interval_s: float = 5.0
    result_format: ResultFormat = ResultFormat()
    memory_deaths: int = 0
    """How many earlier attempts of this job got nowhere because their worker was killed, probably for lack of memory.
    It never goes down, so that what is painted smaller stays smaller."""


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
class PreviewDemand:
    """All the ways somebody wants to see the picture now, and how often at most. No specs: nobody looks."""

    specs: frozenset[PreviewSpec] = frozenset()
    interval_s: float = 0.25


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """Something that paints. `memory_bytes` is 0 where it is unknown. `notices` say what it isn't trusted with."""

    name: str
    description: str
    memory_bytes: int = 0
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Losses:
    """The terms of the objective, weighted, and their sum."""

    content: float
    style: float
    tv: float
    total: float


@dataclass(frozen=True, slots=True)
class Progressed:
    """A step was made. Scales and steps count from 1; rates are of the recent past."""

    scale: int
    scales: int
    step: int
    steps: int
    height_px: int
    width_px: int
    losses: Losses
    steps_per_second: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Previewed:
    """A look at the picture after a step, encoded as one spec asked for."""

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
class Checkpointed:
    """The run could go on from after this step, whatever happens."""

    step: int


@dataclass(frozen=True, slots=True)
class Noticed:
    """The run goes on otherwise than was to be expected. `reason` is a word for programs, `message` a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is over and `Task.output` is written; step 0: it was cancelled before there was a picture."""

    step: int
    partial: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """The run is over without a picture. `reason` is a word for programs, `message` tells a user what to do."""

    reason: str
    message: str


Report = Progressed | Previewed | Steered | Checkpointed | Noticed | Finished | Failed


class WorkerDied(Exception):
    """The worker ended in the middle of a run. The text says how; the task can be given to another one."""

    def __init__(self, message: str, *, out_of_memory: bool = False) -> None:
        super().__init__(message)
        self.out_of_memory = out_of_memory
        """Whether it went the way processes go when memory runs out."""


class Worker(Protocol):
    """One device. It does one run at a time; the other methods speak to the run in progress, if there is one."""

    @property
    def asked_for(self) -> str:
        """The device's name as the operator gave it."""

    @property
    def info(self) -> DeviceInfo | None:
        """The device; None until the worker has found out."""

    async def ready(self) -> DeviceInfo:
        """Waits until the device is known. Raises WorkerDied with the reason if it can't be had."""

    def run(self, task: Task) -> AsyncGenerator[Report]:
        """Paints. The last report is Finished or Failed. Raises WorkerDied. Closing the iterator ends the run."""

    def steer(self, steer: Steer) -> None:
        """Changes weights from the next step on; a Steered report says which that was."""

    def show(self, demand: PreviewDemand) -> None:
        """Says which previews are wanted; replaces what was said before, and outlasts runs."""

    def cancel(self) -> None:
        """Ends the run within a step; what is there of the picture is written."""


class Engine(Protocol):
    """Who paints: a fixed number of workers."""

    @property
    def workers(self) -> Sequence[Worker]:
        """All of them, from `start` on."""

    async def start(self) -> None:
        """Sets the workers going; doesn't wait until they are ready."""

    async def stop(self) -> None:
        """Ends every worker. No process is left behind."""
