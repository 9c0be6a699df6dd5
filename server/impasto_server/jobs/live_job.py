"""A job that hasn't ended: what has happened to it, what there is to see of it now, and those who follow it.

*History* (states, notices, results, one progress a second) is decided here at once, journaled, and only then shown:
every follower gets each event once, in order. The *present* (progress in between, place in the queue, previews) isn't
journaled: the newest takes the place of what a follower hasn't read.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from impasto_server.engine import Attempt, Previewed, PreviewRequest, PreviewSpec, Progressed

from .errors import Stopping
from .journal import StoredCheckpoint, StoredSteering, not_found
from .state import Event, EventBody, Job, State, StateChanged, after
from .writer import Writer

# Events kept in memory for followers that keep up; those who come later read the journal, so many at a time.
_RECENT = 64
PROGRESS_JOURNALED_S = 1.0
PROGRESS_JOURNALED_SHARE = 0.025
"""Shortest time between two progress events that are journaled, in seconds and as a share of the time since the first:
a job of hours leaves hundreds of rows and not thousands. The last of a scale always is journaled."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A preview as one watcher gets it: `coalesced` others were replaced since that watcher's last."""

    preview: Previewed
    time: float
    attempt: int
    coalesced: int


@dataclass(frozen=True, slots=True)
class _Shown:
    """The latest preview for a spec, numbered so that a follower knows what it missed."""

    number: int
    time: float
    attempt: int
    preview: Previewed


class LiveJob:
    """`job` is how it stands as decided, `shown` as journaled: what anybody outside may see."""

    def __init__(self, job: Job, writer: Writer, ended: Callable[[], None] = lambda: None) -> None:
        self.job = job
        self.shown = job
        self.checkpoint: StoredCheckpoint | None = None
        self.beginning: str | None = None
        """Another job's checkpoint, which this one begins from."""
        self.steerings: dict[int, StoredSteering] = {}
        self.attempt: Attempt | None = None
        self.keeping_checkpoint: asyncio.Future[None] | None = None
        """Done once it is clear whether the latest checkpoint is the job's."""
        self._writer = writer
        self._ended = ended
        self._now = max(job.create_time, job.start_time or 0.0)
        self._recent: deque[Event] = deque(maxlen=_RECENT)
        self._progress: Event | None = None
        self._progress_began: float | None = None
        self._progress_journaled = float("-inf")
        self._position: Event | None = None
        self._told_position = 0
        self._previews: dict[PreviewSpec, _Shown] = {}
        self._requests: dict[object, PreviewRequest] = {}
        self._closed = False
        self._happened = asyncio.Event()
        self._previewed = asyncio.Event()

    def change(self, *bodies: EventBody, attempt: int | None = None) -> asyncio.Future[None]:
        """Decides what happens next; done once it is journaled and shown. Raises IllegalTransition, and nothing has
        changed then."""
        job, events = self.job, []
        for body in bodies:
            self._now = max(time.time(), self._now)  # clocks are set back, histories aren't
            event = Event(job.last_sequence + 1, self._now, job.attempt if attempt is None else attempt, body)
            job = after(job, event)
            events.append(event)
        self.job = job
        return self._writer.write(lambda journal: journal.append(job, events), lambda _: self.show(events))

    def admitted(self, event: Event) -> None:
        """The first event, journaled with the job itself."""
        self._recent.append(event)
        assert isinstance(event.body, StateChanged)
        self._told_position = event.body.queue_position

    def show(self, events: Sequence[Event]) -> None:
        """They are journaled: now they may be seen."""
        for event in events:
            self.shown = after(self.shown, event)
            self._recent.append(event)
            if isinstance(event.body, StateChanged):
                self._position = None
                self._told_position = event.body.queue_position
                self._progress = None if event.body.state.has_ended else self._progress
        if self.shown.state.has_ended:
            self._ended()
        self._wake()

    def progressed(self, progress: Progressed) -> None:
        """A step was made."""
        now = time.monotonic()
        # While one waits to be journaled, on a full disk say, no other does: they would pile up.
        written = self.job.last_sequence == self.shown.last_sequence
        self._progress_began = self._progress_began or now
        interval_s = max(PROGRESS_JOURNALED_S, PROGRESS_JOURNALED_SHARE * (now - self._progress_began))
        if progress.ends_scale or (written and now - self._progress_journaled >= interval_s):
            self._progress_journaled = now
            self._progress = None
            self.change(progress)
        else:
            self._progress = Event(0, time.time(), self.job.attempt, progress)
            self._wake()

    def tell_position(self, position: int) -> None:
        """The job's place in the queue, from 1: told exactly up to ten, beyond that when it is worth an event."""
        told = self._told_position
        if position != told and (position <= 10 or not 0.8 * told < position < 1.25 * told):
            self._told_position = position
            moved = StateChanged(State.QUEUED, queue_position=position)
            self._position = Event(0, time.time(), self.job.attempt, moved)
            self._wake()

    def previewed(self, preview: Previewed) -> None:
        """A new preview replaces the one before."""
        before = self._previews.get(preview.spec)
        number = before.number + 1 if before else 1
        self._previews[preview.spec] = _Shown(number, time.time(), self.job.attempt, preview)
        self._previewed.set()
        self._previewed = asyncio.Event()

    @property
    def seen(self) -> Job:
        """The job as anybody outside may see it, with its latest progress."""
        if self._progress and isinstance(self._progress.body, Progressed):
            return replace(self.shown, progress=self._progress.body)
        return self.shown

    @property
    def previews(self) -> PreviewRequest:
        """What all followers together want to see."""
        if not self._requests:
            return PreviewRequest()
        specs = frozenset().union(*(request.specs for request in self._requests.values()))
        return PreviewRequest(specs, min(request.interval_s for request in self._requests.values()))

    def request_previews(self, who: object, request: PreviewRequest | None) -> None:
        """Notes what a follower wants to see; None: it has gone."""
        if request is None:
            self._requests.pop(who, None)
        else:
            self._requests[who] = request
        # A picture nobody wants any more is not kept.
        wanted = self.previews
        self._previews = {spec: shown for spec, shown in self._previews.items() if spec in wanted.specs}
        if self.attempt:
            self.attempt.show(wanted)

    def close(self) -> None:
        """The server goes: whoever follows is told, after the events that are there."""
        self._closed = True
        self._wake()

    async def follow(
        self, after_sequence: int, spec: PreviewSpec | None, interval_s: float
    ) -> AsyncGenerator[Event | Watched]:
        """Every event after `after_sequence` once and in order, the present when it is due; ends with the job.

        Nothing is queued here: while the reader is busy with one item, what is present is replaced.
        Raises JobNotFound when the job is deleted, Stopping when the server goes first.
        """
        seen, due = 0, 0.0
        position = after_sequence
        present: list[Event | None] = [None, None]
        while True:
            # Only what concerns this reader wakes it: of two hundred, each is woken for each event already.
            happened, previewed = self._happened, self._previewed
            while events := await self._events_after(position):
                for event in events:
                    position = event.sequence
                    yield event
            for index, newest in enumerate(self._present(position)):
                if newest is not None and newest is not present[index]:
                    present[index] = newest
                    yield newest
            shown = self._previews.get(spec) if spec else None
            now = time.monotonic()
            if shown and shown.number > seen and now >= due:
                yield Watched(shown.preview, shown.time, shown.attempt, shown.number - seen - 1 if seen else 0)
                seen, due = shown.number, now + interval_s
            if self.shown.state.has_ended and position >= self.shown.last_sequence:
                return
            if self._closed:
                raise Stopping("The server is stopping: the job can't be followed on it any further.")
            if shown and shown.number > seen:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(due - time.monotonic()):
                        await happened.wait()
            elif spec:
                await previewed.wait()
            else:
                await happened.wait()

    def _present(self, position: int) -> tuple[Event | None, Event | None]:
        """Place in the queue and progress, unless there is history that comes first."""
        if position < self.job.last_sequence:
            return None, None
        return self._position, self._progress

    async def _events_after(self, position: int) -> Sequence[Event]:
        if position >= self.shown.last_sequence:
            return ()
        if self._recent and self._recent[0].sequence <= position + 1:
            return tuple(islice(self._recent, position + 1 - self._recent[0].sequence, None))
        job_id, last = self.job.id, self.shown.last_sequence
        found = await self._writer.read(lambda journal: journal.events(job_id, position, _RECENT))
        if not found:
            raise not_found(job_id)  # it has been deleted meanwhile
        return [event for event in found if event.sequence <= last]

    def _wake(self) -> None:
        for event in (self._happened, self._previewed):
            event.set()
        self._happened, self._previewed = asyncio.Event(), asyncio.Event()
