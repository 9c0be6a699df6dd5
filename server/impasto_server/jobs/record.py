"""One job's events and latest previews, and those who follow them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from impasto_server.engine import PreviewDemand, Previewed, PreviewSpec, Steering

from .errors import Stopping
from .state import Event, EventBody, Job, StateChanged, after


@dataclass(frozen=True, slots=True)
class Watched:
    """A preview as one watcher gets it: `coalesced` newer ones replaced since that watcher's last."""

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

    def __init__(self, job: Job) -> None:
        self.job = job
        self.steering = Steering()
        self._events: list[Event] = []
        self._looks: dict[PreviewSpec, _Look] = {}
        self._changed = asyncio.Event()
        self._wishes: dict[object, PreviewDemand] = {}
        self._closed = False

    @property
    def queue_position(self) -> int:
        """Place in the queue as its watchers were last told, from 1; 0 when it doesn't wait."""
        bodies = (event.body for event in reversed(self._events))
        return next((body.queue_position for body in bodies if isinstance(body, StateChanged)), 0)

    def append(self, body: EventBody, *, attempt: int | None = None) -> Event:
        """The next event. Raises IllegalTransition."""
        event = Event(self.job.last_sequence + 1, time.time(), self.job.attempt if attempt is None else attempt, body)
        self.job = after(self.job, event)
        self._events.append(event)
        self._wake()
        return event

    def close(self) -> None:
        """The server goes: whoever follows is told, after the events that are there."""
        self._closed = True
        self._wake()

    def look(self, preview: Previewed) -> None:
        """A new preview replaces the one before."""
        before = self._looks.get(preview.spec)
        number = before.number + 1 if before else 1
        self._looks[preview.spec] = _Look(number, time.time(), self.job.attempt, preview)
        self._wake()

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

    async def follow(
        self, after_sequence: int, spec: PreviewSpec | None, interval_s: float
    ) -> AsyncIterator[Event | Watched]:
        """Every event after `after_sequence` once and in order, previews when they are due; ends with the job.

        Nothing is queued here: while the reader is busy with one item, previews replace each other.
        """
        seen, due = 0, 0.0
        position = after_sequence
        while True:
            changed = self._changed
            while position < len(self._events):
                event = self._events[position]
                position += 1
                yield event
            look = self._looks.get(spec) if spec else None
            now = time.monotonic()
            if look and look.number > seen and now >= due:
                yield Watched(look.preview, look.time, look.attempt, look.number - seen - 1 if seen else 0)
                seen, due = look.number, now + interval_s
            if self.job.state.has_ended and position >= len(self._events):
                return
            if self._closed:
                raise Stopping("The server is stopping: the job can't be followed on it any further.")
            waiting_for_rate = look is not None and look.number > seen
            try:
                async with asyncio.timeout(max(0.0, due - now) if waiting_for_rate else None):
                    await changed.wait()
            except TimeoutError:
                continue

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
