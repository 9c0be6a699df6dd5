"""The engine of one machine: a worker process for each device, kept alive."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Sequence

from impasto_server.engine.attempt import SILENCE_S, Attempt
from impasto_server.engine.protocol import BlobSink, BlobSource, Presence, RenderTask, Task

from .device_worker import DeviceWorker
from .link import LocalLink
from .rendering import RenderingProcess

AUTOMATIC = "auto"


class LocalEngine:
    """`devices` by name, one worker each, whose id is that name; "auto" is the best device there is.

    A worker that gives no sign of life for `silence_s` seconds is ended.
    """

    def __init__(self, devices: Sequence[str] = (AUTOMATIC,), *, silence_s: float = SILENCE_S) -> None:
        self._devices = devices
        self._silence_s = silence_s
        self._workers: dict[str, DeviceWorker] = {}
        self._rendering: set[RenderingProcess] = set()

    async def start(self, tell: Callable[[Presence], None]) -> None:
        ids = [
            name if self._devices.count(name) == 1 else f"{name}#{index}" for index, name in enumerate(self._devices)
        ]
        for worker_id, device in zip(ids, self._devices, strict=True):
            worker = DeviceWorker(worker_id, device, platform.node(), tell, silence_s=self._silence_s)
            self._workers[worker_id] = worker
            worker.start()

    def begin(self, worker_id: str, task: Task, source: BlobSource, sink: BlobSink) -> Attempt:
        link = LocalLink(self._workers[worker_id], source, sink)
        return Attempt(task, link, silence_s=self._silence_s)

    def render(self, task: RenderTask, source: BlobSource, sink: BlobSink) -> Attempt:
        process = RenderingProcess()
        self._rendering = {one for one in self._rendering if not one.has_ended} | {process}
        return Attempt(task, LocalLink(process, source, sink), silence_s=self._silence_s)

    async def stop(self) -> None:
        stopping = [worker.stop() for worker in self._workers.values()]
        await asyncio.gather(*stopping, *(process.kill() for process in self._rendering))
