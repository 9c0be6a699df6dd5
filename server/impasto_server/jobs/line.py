"""Who is next: owners take turns, and each owner's jobs keep their order; jobs that had begun go before all others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

from .state import Job


def in_line(waiting: Iterable[Job], turns: Mapping[str, int]) -> Iterator[Job]:
    """Waiting jobs in the order in which one device would take them.

    `waiting` is in the order of their creation; `turns` has for each owner the number of its latest turn, so that
    whoever waited longest for one is next.
    """
    begun: list[Job] = []
    by_owner: dict[str, list[Job]] = {}
    for job in waiting:
        if job.attempt:
            begun.append(job)
        else:
            by_owner.setdefault(job.owner, []).append(job)
    yield from begun
    owners: Sequence[str] = sorted(by_owner, key=lambda owner: turns.get(owner, 0))
    for turn in zip_longest(*(by_owner[owner] for owner in owners)):
        yield from (job for job in turn if job is not None)
