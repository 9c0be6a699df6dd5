"""Which workers there are, which of them can take a job, and which rest because they crash over and over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from impasto_server.engine import Joined, Left, Presence, Starting, WorkerInfo

FIRST_REST_S = 1.0
LONGEST_REST_S = 60.0
"""A worker that crashes over and over without getting anywhere leaves the jobs to the others for a while."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attendant:
    """A worker as the engine told of it. No `info`: it isn't ready; `why` says so where more is known.

    `device` is its device's name as far as that is known: jobs may ask for one that is away for a while.
    """

    worker_id: str
    device: str
    info: WorkerInfo | None = None
    why: str = ""


class Attendance:
    """`changed` is called when a worker can take a job that couldn't before."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._workers: dict[str, Attendant] = {}
        self._rests: dict[str, int] = {}
        self._resting: set[str] = set()
        self._heard = asyncio.Event()
        self._hopeless: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ever_joined = False

    @property
    def workers(self) -> Collection[Attendant]:
        """All that were ever told of."""
        return self._workers.values()

    @property
    def ready(self) -> list[WorkerInfo]:
        """Those that are there."""
        return [worker.info for worker in self._workers.values() if worker.info]

    def rests(self, worker_id: str) -> bool:
        """Whether it gets no job for now."""
        return worker_id in self._resting

    def hear(self, presence: Presence) -> None:
        """What the engine tells."""
        match presence:
            case Starting(worker_id):
                self._workers[worker_id] = replace(self._known(worker_id), info=None)
            case Joined(info):
                self._ever_joined = True
                self._workers[info.id] = Attendant(info.id, info.device.name, info)
                self._changed()
            case Left(worker_id, why):
                self._workers[worker_id] = replace(self._known(worker_id), info=None, why=why)
                reasons = [worker.why for worker in self.workers if worker.why]
                if not self._ever_joined and len(reasons) == len(self._workers) and not self._hopeless.done():
                    self._hopeless.set_result("; ".join(reasons))
        self._heard.set()
        self._heard = asyncio.Event()

    def judge(self, worker_id: str, *, did_badly: bool) -> None:
        """After an attempt: a worker that crashed and got nowhere rests, for longer each time in a row."""
        if not did_badly:
            self._rests.pop(worker_id, None)
            return
        rests = self._rests[worker_id] = self._rests.get(worker_id, 0) + 1
        rest_s = min(FIRST_REST_S * 2 ** (rests - 1), LONGEST_REST_S)
        log.warning("worker %s gets no job for %.0f s", worker_id, rest_s)
        self._resting.add(worker_id)
        asyncio.get_running_loop().call_later(rest_s, self._rested, worker_id)

    async def hopeless(self) -> str:
        """Waits until it is clear that none of the devices can be had; says why."""
        return await asyncio.shield(self._hopeless)

    async def device_names(self, wanted: str) -> list[str]:
        """The devices there are. Workers that are still starting are waited for, unless `wanted` is there already."""
        while True:
            names = [worker.device for worker in self.workers]
            if wanted in names or all(worker.info or worker.why for worker in self.workers):
                return names
            await self._heard.wait()

    def _known(self, worker_id: str) -> Attendant:
        return self._workers.get(worker_id, Attendant(worker_id, worker_id))

    def _rested(self, worker_id: str) -> None:
        self._resting.discard(worker_id)
        self._changed()
