"""Lost contact: when to try again, when to give up, where a watcher stands meanwhile. No I/O, no sleeping."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from impasto._events import JobEvent, Progress, Reconnecting, StateChanged, now, read_event
from impasto._requests import PreviewOptions, watch_request
from impasto.v1 import stylizer_pb2

MOST_DEATHS = 3
"""So often in a row, without a step in between, a private server's death is made good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnect:
    """How eagerly and how long lost contact is sought again. Delays double, with jitter."""

    give_up_after_s: float = 60.0
    """Without contact for this long, watching ends with ServerUnavailableError. 0: never try again."""
    first_delay_s: float = 0.25
    longest_delay_s: float = 8.0


class Backoff:
    """The time between two tries, since contact was lost."""

    def __init__(
        self,
        policy: Reconnect,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._jitter = jitter
        self._lost_at: float | None = None
        self.retries = 0

    def contact(self) -> None:
        """The other side was heard."""
        self._lost_at, self.retries = None, 0

    def next_delay_s(self, at_least_s: float | None = None) -> float | None:
        """Seconds to wait before the next try; None when it is time to give up."""
        policy, time_s = self._policy, self._clock()
        if self._lost_at is None:
            self._lost_at = time_s
        left_s = self._lost_at + policy.give_up_after_s - time_s
        if left_s <= 0:
            return None
        # Half of the delay is fixed, half is random: a herd of watchers spreads out, nobody hammers.
        delay_s = min(policy.longest_delay_s, policy.first_delay_s * 2.0 ** min(self.retries, 32))
        delay_s *= (1 + self._jitter()) / 2
        self.retries += 1
        # The last try falls on the limit itself; a server that names a time is the better judge.
        return max(min(delay_s, left_s), at_least_s or 0.0)


class Follower:
    """A watcher's place in a job's events, over as many calls as it takes.

    The driver makes a call of `request()`, reports `connected()` and each `received()` message, and on lost
    contact asks `lost()` what to do. Each sequenced event comes out of `received()` exactly once.
    """

    def __init__(
        self,
        name: str,
        *,
        after_sequence: int = 0,
        previews: PreviewOptions | None = None,
        reconnect: Reconnect = Reconnect(),
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.sequence = after_sequence
        """The latest sequence that was handed out; the next call asks for what is after it."""
        self.ended = False
        """True once the terminal state was handed out."""
        self.must_revive = False
        """True if the private server has to be started before the next call; `revived()` tells that it was."""
        self._deaths = 0
        self._attempt = 0
        self._previews = previews
        self._backoff = Backoff(reconnect, clock=clock, jitter=jitter)

    def request(self) -> stylizer_pb2.WatchJobRequest:
        """What the next call asks for."""
        return watch_request(self.name, self.sequence, self._previews)

    def connected(self) -> None:
        """The server took the call."""
        self._backoff.contact()

    def received(self, response: stylizer_pb2.WatchJobResponse) -> JobEvent | None:
        """The event to hand out; None if it was handed out before, or is of a kind that we don't know."""
        self._backoff.contact()
        event = response.event
        if 0 < event.sequence <= self.sequence:
            return None
        self.sequence = max(self.sequence, event.sequence)
        self._attempt = max(self._attempt, event.attempt)
        record = read_event(event)
        if isinstance(record, StateChanged) and record.state.ended:
            self.ended = True
        if isinstance(record, Progress):
            self._deaths = 0
        return record

    def died(self) -> Reconnecting | None:
        """What `lost()` is, for a private server that is dead: nobody but us brings it back."""
        self._deaths += 1
        self.must_revive = self._deaths <= MOST_DEATHS
        return self.lost("the private server died and is started again") if self.must_revive else None

    def revived(self) -> None:
        """The private server runs again."""
        self.must_revive = False
        self._backoff.contact()

    def lost(self, error: str, retry_after_s: float | None = None) -> Reconnecting | None:
        """The event to hand out before waiting for its `delay_s`; None when it is time to give up."""
        delay_s = self._backoff.next_delay_s(retry_after_s)
        if delay_s is None:
            return None
        return Reconnecting(
            sequence=0,
            time=now(),
            attempt=self._attempt,
            retry=self._backoff.retries,
            delay_s=delay_s,
            error=error,
        )
