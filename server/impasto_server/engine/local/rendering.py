"""A process for one render task: it needs no device, so it waits for none."""

from __future__ import annotations

import asyncio

from impasto_server.engine.attempt import LinkLost

from .link import Heard
from .pipe import FromWorker, Hello, NoDevice, Ready, ToWorker, Trying
from .process import START_SILENCE_S, WorkerProcess


class RenderingProcess:
    """Starts when it is taken, and ends with its task."""

    def __init__(self) -> None:
        self._process: WorkerProcess | None = None
        self._inbox: asyncio.Queue[Heard] | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.has_ended = False

    async def take(self, inbox: asyncio.Queue[Heard]) -> None:
        self._inbox = inbox
        self._process = await WorkerProcess.start("this machine's processor", "render", hear=self._hear)
        try:
            async with asyncio.timeout(START_SILENCE_S):
                await self._ready
        except TimeoutError:
            raise LinkLost(
                "never_ready", f"The process for a picture was not ready after {START_SILENCE_S:g} s"
            ) from None

    def send(self, message: ToWorker) -> None:
        if self._process:
            self._process.send(message)

    async def release(self) -> None:
        """Also one that was cancelled while it started, and waits for a task."""
        self._inbox = None
        await self.kill()

    async def kill(self) -> None:
        if self._process:
            await self._process.kill()
        self.has_ended = True

    def _hear(self, message: FromWorker | LinkLost) -> None:
        match message:
            case Hello() | Trying() | NoDevice():
                pass
            case Ready():
                if not self._ready.done():  # else it was cancelled
                    self._ready.set_result(None)
            case _:
                if isinstance(message, LinkLost):
                    self.has_ended = True
                    if not self._ready.done():
                        self._ready.set_exception(LinkLost("never_ready", str(message)))
                if self._inbox:
                    self._inbox.put_nowait(message)
