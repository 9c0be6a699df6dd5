"""A worker's process as the server sees it: started, listened to, ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable

from impasto_server.engine.attempt import LinkLost
from impasto_server.engine.protocol import LostReason

from .environment import PAINTING
from .pipe import DEVICE_LOST, FromWorker, ToWorker, pack, receive

START_SILENCE_S = 180.0
"""A process can't speak while its libraries are loaded, which takes as long as the disk takes. After that it may be
silent no longer than any other."""

_WORKER = f"{__package__}.worker"
_KILL_PATIENCE_S = 5.0

log = logging.getLogger(__name__)


class WorkerProcess:
    """A running process. Everything it says goes to `hear`, in order, and in the end what became of it."""

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, hear: Callable[[FromWorker | LinkLost], None]
    ) -> None:
        self._name = name
        self._process = process
        self._hear = hear
        self._listening = asyncio.create_task(self._listen(), name=f"listening to {name}")

    @classmethod
    async def start(cls, name: str, *arguments: str, hear: Callable[[FromWorker | LinkLost], None]) -> WorkerProcess:
        """Starts `python -m …worker ARGUMENTS`. Raises LinkLost."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", _WORKER, *arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**PAINTING, **os.environ},
            )
        except OSError as error:  # no memory, or too many processes: it may go another time
            raise LinkLost("never_ready", f"The worker on {name} could not be started: {error}") from error
        return cls(name, process, hear)

    @property
    def lives(self) -> bool:
        """Whether it can still be spoken to."""
        return self._process.returncode is None and not self._listening.done()

    def send(self, message: ToWorker) -> None:
        """Says something to it; one that has died is noticed by the listening side."""
        assert self._process.stdin
        if self._process.returncode is None:
            with contextlib.suppress(ConnectionError):
                self._process.stdin.write(pack(message))

    async def kill(self) -> None:
        """Ends it at once; returns when it is gone and its end was heard, or when its driver doesn't let it go."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await asyncio.wait([self._listening], timeout=_KILL_PATIENCE_S)

    async def ended(self) -> None:
        """Waits until it is gone and its end was heard."""
        await asyncio.wait([self._listening])

    async def _listen(self) -> None:
        assert self._process.stdout
        try:
            while True:
                self._hear(await receive(self._process.stdout))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception as error:  # unpickled, nonsense raises what it likes
            log.error("the worker on %s was ended: what it says can't be read: %s", self._name, error)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        code = await self._process.wait()
        reason: LostReason = "out_of_memory" if code == -signal.SIGKILL else "crashed"
        self._hear(LinkLost(reason, f"The worker on {self._name} {_ending(code)}"))


def _ending(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed"
    if code < 0:
        return f"crashed ({_signal_name(-code)})"
    if code == DEVICE_LOST:
        return "lost its device"
    return f"ended unexpectedly with status {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals have none
        return f"signal {number}"
