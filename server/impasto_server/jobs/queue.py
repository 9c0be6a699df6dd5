"""Jobs that wait for a device: first come, first served, each by a device it may run on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator


class JobQueue:
    """Ids in order. A job that names a device waits for that one; the others go to whichever is free."""

    def __init__(self) -> None:
        self._waiting: dict[str, str | None] = {}
        self._grew = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[str]:
        """Ids, the next one first."""
        return iter(tuple(self._waiting))

    async def put(self, job_id: str, device: str | None) -> None:
        """Joins the end."""
        async with self._grew:
            self._waiting[job_id] = device
            self._grew.notify_all()

    def remove(self, job_id: str) -> None:
        """Leaves the queue; no error if it isn't in it."""
        self._waiting.pop(job_id, None)

    async def take(self, device: str) -> str:
        """The first job that may run on this device, as soon as there is one."""
        async with self._grew:
            while True:
                for job_id, wanted in self._waiting.items():
                    if wanted in (None, device):
                        del self._waiting[job_id]
                        return job_id
                await self._grew.wait()
