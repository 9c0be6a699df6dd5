"""Jobs that wait for a device: owners take turns, and each owner's jobs keep their order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from itertools import zip_longest


class JobQueue:
    """A job that names a device waits for that one; the others go to whichever is free."""

    def __init__(self) -> None:
        self._by_owner: dict[str, deque[str]] = {}  # the owner whose turn is next comes first
        self._devices: dict[str, str | None] = {}
        self._owners: dict[str, str] = {}
        self._grew = asyncio.Event()

    def __len__(self) -> int:
        return len(self._devices)

    def __iter__(self) -> Iterator[str]:
        """Ids in the order in which one device would take them."""
        for turn in zip_longest(*map(tuple, self._by_owner.values())):
            yield from (job_id for job_id in turn if job_id is not None)

    def put(self, job_id: str, owner: str, device: str | None, *, first: bool = False) -> None:
        """Joins the end of its owner's line; `first` is for a job that had begun already."""
        line = self._by_owner.setdefault(owner, deque())
        if first:
            line.appendleft(job_id)
        else:
            line.append(job_id)
        self._devices[job_id] = device
        self._owners[job_id] = owner
        self._grew.set()
        self._grew = asyncio.Event()

    def remove(self, job_id: str) -> None:
        """Leaves the queue; no error if it isn't in it."""
        if job_id in self._devices:
            self._take_out(job_id)

    async def take(self, device: str) -> str:
        """The next job that may run on this device, as soon as there is one. Its owner's next turn comes last."""
        while True:
            grew = self._grew
            for owner, line in self._by_owner.items():
                job_id = next((found for found in line if self._devices[found] in (None, device)), None)
                if job_id is not None:
                    self._take_out(job_id)
                    if owner in self._by_owner:
                        self._by_owner[owner] = self._by_owner.pop(owner)
                    return job_id
            await grew.wait()

    def _take_out(self, job_id: str) -> None:
        owner = self._owners.pop(job_id)
        del self._devices[job_id]
        line = self._by_owner[owner]
        line.remove(job_id)
        if not line:
            del self._by_owner[owner]
