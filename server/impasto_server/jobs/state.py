"""What a job is: its spec, its events, and the fold that makes one from the other. Pure data, no clock and no I/O."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from impasto_server.codec import ImageFacts
from impasto_server.engine import Noticed, Progressed, ResultFormat
from impasto_server.recipes import Recipe, customise


class State(enum.Enum):
    """How a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in (State.SUCCEEDED, State.FAILED, State.CANCELLED)


# What may follow what. QUEUED follows RUNNING when the worker or the server died; a job being cancelled may still
# succeed, if its last step was made before the cancel arrived.
_NEXT: Mapping[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLING, State.CANCELLED, State.FAILED}),
    State.RUNNING: frozenset({State.QUEUED, State.CANCELLING, State.SUCCEEDED, State.FAILED}),
    State.CANCELLING: frozenset({State.CANCELLED, State.SUCCEEDED, State.FAILED}),
}


@dataclass(frozen=True, slots=True)
class StyleSource:
    """A style by content hash, by gallery name, or both; `weight` is its share relative to the others."""

    sha256: str
    gallery_style: str | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class JobSpec:
    """Everything that decides a picture. `parameters` holds only what departs from the recipe that was asked for.

    `resolved` is the recipe with its departures, as it was when the job was asked for: a server of another version,
    whose recipes have other defaults, paints the same. Two specs are equal if the same was asked for.
    """

    content: str
    styles: tuple[StyleSource, ...]
    recipe: str
    resolved: Recipe = field(compare=False)
    parameters: Mapping[str, object] = field(default_factory=dict)
    device: str | None = None
    continue_from: str | None = None
    """Id of the job whose last picture and optimiser state this one begins with."""
    result_format: ResultFormat = field(default_factory=ResultFormat)

    @property
    def images(self) -> frozenset[str]:
        """Content hashes of every image the job needs."""
        return frozenset({self.content, *(style.sha256 for style in self.styles)})


def resolve(recipe: str, parameters: Mapping[str, object], *, continues: bool) -> Recipe:
    """The recipe that is painted when this is asked for. Raises RecipeError."""
    resolved = customise(recipe, parameters)
    # What is continued is at its full size already.
    return resolved.at_one_scale() if continues else resolved


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed: a word for programs, a sentence for people."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Deaths:
    """How often workers have died over a job, as far as the job pays for it."""

    crashes: int = 0
    kills: int = 0
    """Of each kind, without getting any further in between."""
    of_memory: int = 0
    """All that looked like a lack of memory. It never goes down: what is painted smaller stays smaller."""
    step: int = 0
    """The checkpoint that was there at the last death."""
    workers: frozenset[str] = frozenset()
    """Those that died in that row: another one, if there is another, may fare better."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The job is in a new state. The other fields belong to one state each."""

    state: State
    queue_position: int = 0
    device: str = ""
    error: JobError | None = None
    deaths: Deaths | None = None
    """QUEUED again: what its workers' deaths come to."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture of a result, as a blob of its own."""

    sha256: str
    size_bytes: int
    facts: ImageFacts


@dataclass(frozen=True, slots=True)
class Result:
    """The picture is there, as a blob; partial if the job was stopped before its last step."""

    sha256: str
    step: int
    partial: bool
    size_bytes: int
    facts: ImageFacts
    thumbnail: Thumbnail | None = None
    """None where it could not be kept, and in results of before there were any."""


EventBody = StateChanged | Progressed | Noticed | Result


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `sequence` grows by one from 1; `time` is in seconds since the epoch."""

    sequence: int
    time: float
    attempt: int
    body: EventBody


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands: the fold of its events."""

    id: str
    spec: JobSpec
    create_time: float
    owner: str = ""
    """Whose it is, as far as the server can tell: queues are fair between owners."""
    state: State = State.QUEUED
    start_time: float | None = None
    end_time: float | None = None
    attempt: int = 0
    device: str = ""
    progress: Progressed | None = None
    result: Result | None = None
    error: JobError | None = None
    deaths: Deaths = Deaths()
    last_sequence: int = 0


class IllegalTransition(Exception):
    """A state that can't follow the present one: a defect of ours, never of a user."""


def after(job: Job, event: Event) -> Job:
    """The job as it stands after the next event of its journal.

    Raises IllegalTransition for a state that can't follow, a sequence with a gap, or anything after the end.
    """
    if event.sequence != job.last_sequence + 1 or job.state.has_ended:
        raise IllegalTransition(f"event {event.sequence} after {job.last_sequence} of a job that is {job.state.value}")
    job = replace(job, last_sequence=event.sequence, attempt=event.attempt)
    match event.body:
        case Progressed() as progress:
            return replace(job, progress=progress)
        case Noticed():
            return job
        case Result() as result:
            return replace(job, result=result)
        case StateChanged(state, _, device, error, deaths):
            begins = event.sequence == 1 and state is State.QUEUED
            if not begins and state not in _NEXT[job.state]:
                raise IllegalTransition(f"{job.state.value} → {state.value}")
            return replace(
                job,
                state=state,
                start_time=event.time if job.start_time is None and state is State.RUNNING else job.start_time,
                end_time=event.time if state.has_ended else None,
                device=device or job.device,
                error=error,
                deaths=deaths or job.deaths,
            )
