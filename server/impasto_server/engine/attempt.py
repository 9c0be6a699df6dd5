"""One try at a task by one worker: a state machine between those who want the picture and the way to the worker.

    starting ──→ painting ──→ ended
        │            │          ↑
        └──→ ending ←┘──────────┘

*starting*: the worker is being got ready. *painting*: it has its task. *ending*: it was told to end. *ended*: `end`
says how, in exactly one of the ways that `protocol.End` lists. What is said to an attempt that has ended is nobody's.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from .protocol import (
    Cancel,
    Command,
    End,
    Failed,
    Finished,
    Lost,
    LostReason,
    PreviewRequest,
    RenderTask,
    Report,
    Steer,
    Task,
)

SILENCE_S = 20.0
"""How long a worker may give no sign of life. It gives one each second, whatever it computes and however long a step
takes, so this is about stuck devices and stopped processes only."""

log = logging.getLogger(__name__)


class Phase(enum.Enum):
    """How an attempt stands."""

    STARTING = "starting"
    PAINTING = "painting"
    ENDING = "ending"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Alive:
    """A sign of life."""


Message = Report | Finished | Failed | Alive


class LinkLost(Exception):
    """The way to the worker ended; the text says how."""

    def __init__(self, reason: LostReason, message: str) -> None:
        super().__init__(message)
        self.reason: LostReason = reason


class Link(Protocol):
    """The way to one worker, for one attempt. What it raises is LinkLost."""

    async def open(self) -> None:
        """Waits until the worker can take a task; may be cancelled."""

    def send(self, message: Task | RenderTask | Command) -> None:
        """Says something to the worker, in order."""

    async def receive(self) -> Message:
        """What the worker says next."""

    async def bring(self, message: Report | Finished) -> Report | Finished:
        """The same message, once the bytes that it speaks of are where they are wanted. Raises OSError too."""

    async def break_off(self) -> None:
        """Ends the worker's process, which does nothing for us any more; returns once it is gone."""

    async def close(self) -> None:
        """The attempt is over: what the worker says from here on is nobody's, what it left lying about is removed."""


class Attempt:
    """`reports()` is to be read to its end by one reader; the other methods may be called at any time."""

    def __init__(self, task: Task | RenderTask, link: Link, *, silence_s: float = SILENCE_S) -> None:
        self.task = task
        self.phase = Phase.STARTING
        self.end: End | None = None
        self._link = link
        self._silence_s = silence_s
        self._held: list[Command] = []
        self._opening: asyncio.Task[None] | None = None

    def steer(self, steer: Steer) -> None:
        """Changes weights from the next step on; a Steered report says which that was."""
        self._say(steer)

    def show(self, request: PreviewRequest) -> None:
        """Says which previews are wanted; replaces what was said before."""
        self._say(request)

    def cancel(self) -> None:
        """Ends the attempt within a step; what is there of the picture is written."""
        match self.phase:
            case Phase.STARTING:
                self.phase = Phase.ENDING
                if self._opening:
                    self._opening.cancel()
            case Phase.PAINTING:
                self.phase = Phase.ENDING
                self._link.send(Cancel())

    async def reports(self) -> AsyncGenerator[Report]:
        """What the worker says, until `end` is known. Closing the generator ends the worker's process."""
        try:
            if await self._opened():
                while (report := await self._next()) is not None:
                    yield report
        except LinkLost as lost:
            self._finish(Lost(lost.reason, str(lost)))
        finally:
            if self.end is None:
                self._finish(Lost("gone", "The attempt was given up"))
                await self._link.break_off()
            await self._link.close()

    async def _opened(self) -> bool:
        """Whether the worker has its task; else the attempt was cancelled first."""
        if self.phase is Phase.STARTING:
            self._opening = asyncio.ensure_future(self._link.open())
            try:
                await asyncio.wait([self._opening])
            except asyncio.CancelledError:
                self._opening.cancel()
                raise
            if not self._opening.cancelled():
                self._opening.result()
        if self.phase is not Phase.STARTING:
            self._finish(Lost("gone", "The attempt was cancelled before it had begun"))
            return False
        self.phase = Phase.PAINTING
        self._link.send(self.task)
        for command in self._held:
            self._link.send(command)
        self._held.clear()
        return True

    async def _next(self) -> Report | None:
        """The next report; None at the end."""
        while True:
            try:
                async with asyncio.timeout(self._silence_s):
                    message = await self._link.receive()
            except TimeoutError:
                await self._link.break_off()
                raise LinkLost(
                    "crashed", f"The worker gave no sign of life for {self._silence_s:g} s and was ended"
                ) from None
            match message:
                case Alive():
                    continue
                case Failed():
                    self._finish(message)
                    return None
                case Finished():
                    self._finish(await self._brought(message))
                    return None
                case _:
                    if report := await self._carried(message):
                        return report

    async def _carried(self, report: Report) -> Report | None:
        try:
            brought = await self._link.bring(report)
        except OSError as error:  # a full disk must not end what runs
            log.warning("a checkpoint could not be kept: %s", error)
            return None
        assert not isinstance(brought, Finished)
        return brought

    async def _brought(self, finished: Finished) -> Finished | Failed:
        try:
            brought = await self._link.bring(finished)
        except OSError as error:
            why = error.strerror or error
            return Failed("DISK_FULL", f"The picture could not be kept: {why}. Free some space and continue the job.")
        assert isinstance(brought, Finished)
        return brought

    def _finish(self, end: End) -> None:
        assert self.end is None, "an attempt ends once"
        self.end = end
        self.phase = Phase.ENDED

    def _say(self, command: Command) -> None:
        match self.phase:
            case Phase.STARTING:
                self._held.append(command)
            case Phase.PAINTING:
                self._link.send(command)
