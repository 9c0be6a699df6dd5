"""What becomes of a job when an attempt at it has ended: pure functions, so that each case can be tested by itself."""

from __future__ import annotations

from dataclasses import dataclass

from impasto_server import suggest
from impasto_server.engine import End, Failed, Finished, Lost, Noticed

from .state import Deaths, EventBody, Job, JobError, Result, State, StateChanged, Thumbnail

MOST_CRASHES = 3
"""In a row, without getting any further."""
MOST_MEMORY_DEATHS = 5
"""A worker that was killed for its memory is worth more attempts: each goes on in smaller tiles."""
_KILLED = "WORKER_KILLED"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is journaled next, in one piece; and whether the worker did badly, so that it should rest."""

    bodies: tuple[EventBody, ...]
    blames_worker: bool = False
    renders: bool = False
    """The job is being cancelled and has a checkpoint: what it holds is still to be written as a picture."""


def after_attempt(job: Job, end: End, worker_id: str, step: int | None) -> Verdict:
    """The job is RUNNING or CANCELLING; `step` is that of its latest checkpoint, None if there is none."""
    match end:
        case Finished():
            return Verdict(_picture(end))
        case Failed(reason, message):
            return Verdict((StateChanged(State.FAILED, error=JobError(reason, message)),))
        case Lost() if job.state is State.CANCELLING:
            return cancelled(step)
        case Lost("never_ready" | "gone"):
            return Verdict((StateChanged(State.QUEUED, deaths=job.deaths),))
    return _after_death(job, end, worker_id, step)


def after_rendering(end: End) -> Verdict:
    """The picture of a cancelled job's checkpoint was to be written."""
    match end:
        case Finished():
            return Verdict(_picture(end))
        case Failed(_, message) | Lost(_, message):
            notice = Noticed("PICTURE_LOST", f"The picture of the cancelled job could not be written: {message}.")
            return Verdict((notice, StateChanged(State.CANCELLED)))


def cancelled(step: int | None) -> Verdict:
    """A job is cancelled that no attempt is at."""
    return Verdict((), renders=True) if step is not None else Verdict((StateChanged(State.CANCELLED),))


def _picture(end: Finished) -> tuple[EventBody, ...]:
    state = StateChanged(State.CANCELLED if end.partial else State.SUCCEEDED)
    if end.picture is None:
        return (state,)
    blob, small = end.picture.blob, end.picture.thumbnail
    thumbnail = Thumbnail(small.blob.sha256, small.blob.size_bytes, small.facts) if small else None
    return Result(blob.sha256, end.step, end.partial, blob.size_bytes, end.picture.facts, thumbnail), state


def _after_death(job: Job, lost: Lost, worker_id: str, step: int | None) -> Verdict:
    before = job.deaths
    step = step or 0
    progress = step > before.step
    # A worker that was killed after some progress may have been killed for any reason: that isn't held against the
    # size of its tiles. If it was memory, the next attempt won't get any further.
    killed = lost.reason == "out_of_memory"
    memory = killed and not progress
    deaths = Deaths(
        crashes=(0 if progress else before.crashes) + (not killed),
        kills=(0 if progress else before.kills) + killed,
        of_memory=before.of_memory + memory,
        step=max(step, before.step),
        workers=frozenset({worker_id}) if progress else before.workers | {worker_id},
    )
    blames_worker = lost.reason == "crashed" and not progress
    count = deaths.kills if killed else deaths.crashes
    if count >= (MOST_MEMORY_DEATHS if killed else MOST_CRASHES):
        failed = StateChanged(State.FAILED, error=_hopeless(job, lost, count), deaths=deaths)
        return Verdict((failed,), blames_worker=blames_worker)
    bodies: tuple[EventBody, ...] = (StateChanged(State.QUEUED, deaths=deaths),)
    if memory:
        text = f"{lost.message}, probably because memory ran out; the job goes on with less of it."
        bodies = (Noticed(_KILLED, text), *bodies)
    return Verdict(bodies, blames_worker)


def _hopeless(job: Job, lost: Lost, count: int) -> JobError:
    size_px = job.spec.resolved.longest_px
    place = f"at step {job.progress.step}" if job.progress else "before its first step"
    if lost.reason == "out_of_memory":
        advice = f"It probably ran out of memory at {size_px} px: {suggest.smaller(size_px)}."
        return JobError("OUT_OF_MEMORY", f"{lost.message}, {count} times {place}. {advice}")
    return JobError("WORKER_DIED", f"{lost.message}, {count} times {place}. The server's log says more.")
