"""A device of this machine and the process that owns it, kept alive: one that died is started again.

One that can't be had is left alone for a while, and for longer each time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from impasto_server.engine.attempt import LinkLost
from impasto_server.engine.protocol import DeviceInfo, Joined, Left, Presence, Starting, WorkerInfo

from .link import Heard
from .pipe import FromWorker, Hello, NoDevice, Ready, ToWorker, Trying
from .process import START_SILENCE_S, WorkerProcess

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0
_LIVED_S = 10.0
"""A process that took no task and was ready for less than that has not lived: the first such is started again at once,
the others after a pause. One that dies over a task is the affair of whoever gave it."""

log = logging.getLogger(__name__)


class DeviceWorker:
    """`tell` hears when it starts, when it is ready, and when it is away."""

    def __init__(
        self, worker_id: str, device: str, machine: str, tell: Callable[[Presence], None], *, silence_s: float
    ) -> None:
        self._id = worker_id
        self._device = device
        self._machine = machine
        self._tell = tell
        self._silence_s = silence_s
        self._heard: asyncio.Queue[FromWorker | LinkLost] = asyncio.Queue()
        self._process: WorkerProcess | None = None
        self._inbox: asyncio.Queue[Heard] | None = None
        self._ready = False
        self._took_task = False
        self._deadly: set[str] = set()
        self._keeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts the process, and again whenever it has died."""
        self._keeping = asyncio.create_task(self._keep(), name=f"keeping {self._id}")

    async def stop(self) -> None:
        """Ends the process for good."""
        if self._keeping:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        if self._process:
            await self._process.kill()

    async def take(self, inbox: asyncio.Queue[Heard]) -> None:
        if not (self._ready and self._process and self._process.lives):
            raise LinkLost("never_ready", f"The worker on {self._device} is not there")
        self._inbox = inbox
        self._took_task = True

    def send(self, message: ToWorker) -> None:
        if self._process:
            self._process.send(message)

    async def release(self) -> None:
        self._inbox = None

    async def kill(self) -> None:
        if self._process:
            self._tell(Left(self._id, f"The worker on {self._device} was ended and is started again"))
            await self._process.kill()

    async def _keep(self) -> None:
        pauses_s = _pauses()
        while True:
            self._tell(Starting(self._id))
            try:
                info = await self._get_ready()
            except LinkLost as lost:
                if self._process:
                    await self._process.kill()
                pause_s = next(pauses_s)
                log.warning("worker %s: %s The next try is in %.0f s.", self._id, _sentence(lost), pause_s)
                self._tell(Left(self._id, str(lost)))
                await asyncio.sleep(pause_s)
                continue
            since = time.monotonic()
            self._ready, self._took_task = True, False
            self._tell(Joined(WorkerInfo(self._id, self._machine, info)))
            assert self._process
            await self._process.ended()
            self._ready = False
            self._tell(Left(self._id, f"The worker on {self._device} ended and is started again"))
            if self._took_task or time.monotonic() - since > _LIVED_S:
                pauses_s = _pauses()
            elif pause_s := next(pauses_s) - FIRST_PAUSE_S:
                log.warning("worker %s died as soon as it was ready. The next try is in %.0f s.", self._id, pause_s)
                await asyncio.sleep(pause_s)

    async def _get_ready(self) -> DeviceInfo:
        """Waits until a process is ready. One that dies of a shortcut is started again, to go without it."""
        while True:
            await self._start_process()
            trying = ""
            try:
                match await self._hear_within(START_SILENCE_S):
                    case Hello(device):
                        log.info("worker %s: %s (%s)", self._id, device.name, device.description)
                    case other:
                        raise _unready(other)
                while True:
                    match await self._hear_within(self._silence_s):
                        case Trying(shortcut):
                            trying = shortcut
                        case Ready(notices):
                            return replace(device, notices=notices)
                        case NoDevice() as other:
                            trying = ""  # it said why itself: no shortcut killed it
                            raise _unready(other)
                        case LinkLost() as lost:
                            raise lost
            except LinkLost as death:
                if not trying or trying in self._deadly:
                    raise
                log.warning("%s while it tried shortcuts (%s): it is started again", death, trying)
                self._deadly.add(trying)

    async def _start_process(self) -> None:
        if self._process:  # a device belongs to one process at a time
            await self._process.kill()
            await self._process.ended()
        self._heard = asyncio.Queue()
        self._process = await WorkerProcess.start(self._device, self._device, *sorted(self._deadly), hear=self._hear)

    def _hear(self, message: FromWorker | LinkLost) -> None:
        if not self._ready:
            self._heard.put_nowait(message)
        elif self._inbox and not isinstance(message, Hello | Trying | Ready | NoDevice):
            self._inbox.put_nowait(message)

    async def _hear_within(self, silence_s: float) -> FromWorker | LinkLost:
        try:
            async with asyncio.timeout(silence_s):
                return await self._heard.get()
        except TimeoutError:
            raise LinkLost(
                "never_ready", f"The worker on {self._device} gave no sign of life for {silence_s:g} s at its start"
            ) from None


def _sentence(lost: LinkLost) -> str:
    return f"{str(lost).rstrip('.')}."


def _pauses() -> Iterator[float]:
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _unready(heard: FromWorker | LinkLost) -> LinkLost:
    match heard:
        case LinkLost():
            return heard
        case NoDevice(message):
            return LinkLost("never_ready", message)
    return LinkLost("never_ready", f"The worker began with {heard!r}")
