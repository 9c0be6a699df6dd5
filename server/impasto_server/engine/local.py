"""The engine of one machine: a worker process per device, each on a pipe of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any

from .abc import DeviceInfo, Failed, Finished, PreviewDemand, Report, Steer, Task, WorkerDied
from .environment import PAINTING
from .pipe import DEVICE_LOST, Cancel, Command, Hello, NoDevice, Ready, Trying, pack, receive

# A worker that hasn't ended its run this long after a cancel is killed; another goes on from the checkpoint.
CANCEL_PATIENCE_S = 5.0
AUTOMATIC = "auto"

log = logging.getLogger(__name__)


class LocalEngine:
    """`devices` by name, one worker each; "auto" is the best device there is."""

    def __init__(self, devices: Sequence[str] = (AUTOMATIC,)) -> None:
        self._workers = [LocalWorker(device) for device in devices]

    @property
    def workers(self) -> Sequence[LocalWorker]:
        return self._workers

    async def start(self) -> None:
        for worker in self._workers:
            await worker.start()

    async def stop(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self._workers))


class LocalWorker:
    """A process and what it is doing. A process that died is started again for the next run."""

    def __init__(self, device: str) -> None:
        self.asked_for = device
        self._info: DeviceInfo | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._hello: asyncio.Task[DeviceInfo] | None = None
        self._demand = PreviewDemand()
        self._cancelled = False
        self._painting = False
        self._trying = ""
        self._deadly: set[str] = set()
        self._impatience: asyncio.TimerHandle | None = None

    @property
    def info(self) -> DeviceInfo | None:
        return self._info

    async def start(self) -> None:
        """Starts the process unless it runs."""
        if self._process and self._process.returncode is None:
            return
        await self._start_process()
        self._hello = asyncio.create_task(self._greet(), name=f"hello {self.asked_for}")
        # Nobody may be waiting yet; whoever calls ready() or run() is told.
        self._hello.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _start_process(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"{__package__}.worker",
            self.asked_for,
            *sorted(self._deadly),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**PAINTING, **os.environ},
        )

    async def stop(self) -> None:
        if self._hello:
            self._hello.cancel()
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def ready(self) -> DeviceInfo:
        await self.start()
        assert self._hello
        return await asyncio.shield(self._hello)

    async def run(self, task: Task) -> AsyncGenerator[Report]:
        self._cancelled = False
        await self.ready()
        self._tell(self._demand)
        self._tell(task)
        self._painting = True
        if self._cancelled:  # while the process was starting: a cancel counts for the task before it only
            self.cancel()
        ended = False
        try:
            while not ended:
                report = await self._receive()
                ended = isinstance(report, Finished | Failed)
                if ended:
                    self._be_patient()
                yield report
        finally:
            self._painting = False
            self._be_patient()
            if not ended:  # the reader has gone, or the process has: nothing else may follow on this pipe
                await self.stop()

    def steer(self, steer: Steer) -> None:
        self._tell(steer)

    def show(self, demand: PreviewDemand) -> None:
        if demand != self._demand:
            self._demand = demand
            self._tell(demand)

    def cancel(self) -> None:
        self._cancelled = True
        if not self._painting:  # a start takes as long as it takes: libraries, the model, the self-check
            return
        self._tell(Cancel())
        if self._impatience is None:
            self._impatience = asyncio.get_running_loop().call_later(CANCEL_PATIENCE_S, self._lose_patience)

    def _be_patient(self) -> None:
        if self._impatience:
            self._impatience.cancel()
            self._impatience = None

    def _lose_patience(self) -> None:
        log.warning(
            "worker %s did not end its run within %.0f s of a cancel: killed", self.asked_for, CANCEL_PATIENCE_S
        )
        if self._process and self._process.returncode is None:
            self._process.kill()

    def _tell(self, command: Command) -> None:
        if self._process and self._process.returncode is None and self._process.stdin:
            with contextlib.suppress(ConnectionError):  # its death is noticed, and told, by the reading side
                self._process.stdin.write(pack(command))

    async def _greet(self) -> DeviceInfo:
        """Waits until the process is ready. One that dies of a shortcut is started again, to go without it."""
        while True:
            self._trying = ""
            try:
                return await self._get_ready(await self._meet())
            except WorkerDied as death:
                if not self._trying or self._trying in self._deadly:
                    raise
                log.warning("%s while it tried shortcuts (%s): it is started again", death, self._trying)
                self._deadly.add(self._trying)
            await self._start_process()

    async def _meet(self) -> DeviceInfo:
        match await self._receive():
            case Hello(device):
                self._info = device
                log.info("worker %s: %s (%s)", self.asked_for, device.name, device.description)
                return device
            case NoDevice(message):
                raise WorkerDied(message)
            case other:
                raise WorkerDied(f"worker {self.asked_for} began with {other!r}")

    async def _get_ready(self, device: DeviceInfo) -> DeviceInfo:
        while True:
            match await self._receive():
                case Trying(shortcut):
                    self._trying = shortcut
                case Ready(notices):
                    self._info = replace(device, notices=notices)
                    return self._info
                case NoDevice(message):
                    self._trying = ""  # it said why itself: no shortcut killed it
                    raise WorkerDied(message)
                case other:
                    raise WorkerDied(f"worker {self.asked_for} got ready with {other!r}")

    async def _receive(self) -> Any:
        assert self._process and self._process.stdout
        try:
            return await receive(self._process.stdout)
        except (asyncio.IncompleteReadError, ConnectionError):
            code = await self._process.wait()
            killed = code == -signal.SIGKILL
            raise WorkerDied(f"The worker on {self.asked_for} {_ending(code)}", out_of_memory=killed) from None


def _ending(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed"
    if code < 0:
        return f"crashed ({signal.Signals(-code).name})"
    if code == DEVICE_LOST:
        return "lost its device"
    return f"ended unexpectedly with status {code}"
