"""One job's events and latest previews, and those who follow them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import islice

from impasto_server.engine import PreviewDemand, Previewed, PreviewSpec

from .errors import Stopping
from .journal import Journal
from .state import Event, EventBody, Job, StateChanged, after

# Events kept in memory for watchers that keep up; those who come later read the journal, so many at a time.
_RECENT = 256


@dataclass(frozen=True, slots=True)
class Watched:
    """A preview as one watcher gets it: `coalesced` others were replaced since that watcher's last."""

    preview: Previewed
    time: float
    attempt: int
    coalesced: int


@dataclass(frozen=True, slots=True)
class _Look:
    """The latest preview made for a spec, numbered so that a watcher knows what it missed."""

    number: int
    time: float
    attempt: int
    preview: Previewed


class JobRecord:
    """A job and its past. Only `append` changes it; every watcher sees each event once, in order."""

    def __init__(self, job: Job, journal: Journal) -> None:
        self.job = job
        self.queue_position = 0
        """Place in the queue as its watchers were last told, from 1; 0 when it doesn't wait."""
        self._journal = journal
        self._recent: deque[Event] = deque(maxlen=_RECENT)
        self._looks: dict[PreviewSpec, _Look] = {}
        self._appended = asyncio.Event()
        self._looked = asyncio.Event()
        self._wishes: dict[object, PreviewDemand] = {}
        self._closed = False

    def create(self, body: StateChanged, request_id: str) -> None:
        """The first event, journaled with the job itself. Raises sqlite3.Error."""
        event, job = self._next(body, None)
        self._journal.add(job, event, request_id)
        self._settle(event, job)

    def append(self, body: EventBody, *, attempt: int | None = None) -> None:
        """The next event: journaled, then seen. Raises IllegalTransition, sqlite3.Error; nothing has changed then."""
        event, job = self._next(body, attempt)
        self._journal.append(job, event)
        self._settle(event, job)

    def close(self) -> None:
        """The server goes: whoever follows is told, after the events that are there."""
        self._closed = True
        self._wake()

    def look(self, preview: Previewed) -> None:
        """A new preview replaces the one before."""
        before = self._looks.get(preview.spec)
        number = before.number + 1 if before else 1
        self._looks[preview.spec] = _Look(number, time.time(), self.job.attempt, preview)
        self._looked.set()
        self._looked = asyncio.Event()

    @property
    def demand(self) -> PreviewDemand:
        """What all watchers together want to see."""
        if not self._wishes:
            return PreviewDemand()
        specs = frozenset().union(*(wish.specs for wish in self._wishes.values()))
        return PreviewDemand(specs, min(wish.interval_s for wish in self._wishes.values()))

    def wish(self, who: object, demand: PreviewDemand | None) -> None:
        """Notes what a watcher wants to see; None: it has gone."""
        if demand is None:
            self._wishes.pop(who, None)
        else:
            self._wishes[who] = demand
        # A picture nobody looks for any more is not kept.
        wanted = self.demand.specs
        self._looks = {spec: look for spec, look in self._looks.items() if spec in wanted}

    async def follow(
        self, after_sequence: int, spec: PreviewSpec | None, interval_s: float
    ) -> AsyncIterator[Event | Watched]:
        """Every event after `after_sequence` once and in order, previews when they are due; ends with the job.

        Nothing is queued here: while the reader is busy with one item, previews replace each other.
        """
        seen, due = 0, 0.0
        position = after_sequence
        while True:
            # Only what concerns this reader wakes it: of two hundred, each is woken for each event already.
            appended, looked = self._appended, self._looked
            while events := self._events_after(position):
                for event in events:
                    position = event.sequence
                    yield event
            look = self._looks.get(spec) if spec else None
            now = time.monotonic()
            if look and look.number > seen and now >= due:
                yield Watched(look.preview, look.time, look.attempt, look.number - seen - 1 if seen else 0)
                seen, due = look.number, now + interval_s
            if self.job.state.has_ended and position >= self.job.last_sequence:
                return
            if self._closed:
                raise Stopping("The server is stopping: the job can't be followed on it any further.")
            if look and look.number > seen:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(due - now):
                        await appended.wait()
            elif spec:
                await looked.wait()
            else:
                await appended.wait()

    def _next(self, body: EventBody, attempt: int | None) -> tuple[Event, Job]:
        number = self.job.attempt if attempt is None else attempt
        event = Event(self.job.last_sequence + 1, time.time(), number, body)
        return event, after(self.job, event)

    def _settle(self, event: Event, job: Job) -> None:
        self.job = job
        self._recent.append(event)
        if isinstance(event.body, StateChanged):
            self.queue_position = event.body.queue_position
        self._wake()

    def _events_after(self, position: int) -> Sequence[Event]:
        if position >= self.job.last_sequence:
            return ()
        if self._recent and self._recent[0].sequence <= position + 1:
            return tuple(islice(self._recent, position + 1 - self._recent[0].sequence, None))
        return self._journal.events(self.job.id, position, _RECENT)

    def _wake(self) -> None:
        for event in (self._appended, self._looked):
            event.set()
        self._appended, self._looked = asyncio.Event(), asyncio.Event()
