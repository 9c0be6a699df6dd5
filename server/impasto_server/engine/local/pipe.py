"""Messages between the server and a worker process: what is said, and how it is framed on a pipe.

Both ends are ours and start each other, so pickle is safe here; nothing from the network is ever unpickled.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import struct
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto_server.engine.attempt import Alive
from impasto_server.engine.protocol import Command, DeviceInfo, Failed, Finished, RenderTask, Report, Task

_LENGTH = struct.Struct("<Q")
DEVICE_LOST = 70
"""Exit status of a worker whose device does nothing more for its process."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The worker's first message: it is there, on this device."""

    device: DeviceInfo


@dataclass(frozen=True, slots=True)
class Trying:
    """The worker is about to try one of its device's shortcuts. If it is never heard of again, that was why."""

    shortcut: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker's last message before its reports. `notices` say what its device isn't trusted with."""

    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoDevice:
    """The worker's last message if it can't work; it ends afterwards."""

    message: str


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """Where a task's blobs are on this machine, by their hashes, and the folder that its painter makes and fills."""

    paths: Mapping[str, Path]
    scratch: Path

    def path(self, sha256: str) -> Path:
        """Where the blob is."""
        return self.paths[sha256]

    def scratch_path(self) -> Path:
        """A name nobody has, in a folder that is there. Raises OSError."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        return self.scratch / uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Begin:
    """The worker's next task, and where its files are."""

    task: Task | RenderTask
    files: LocalFiles


ToWorker = Begin | Command
FromWorker = Hello | Trying | Ready | NoDevice | Alive | Report | Finished | Failed


def pack(message: object) -> bytes:
    """A message with its length before it."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


async def receive(reader: asyncio.StreamReader) -> Any:
    """The next message. Raises asyncio.IncompleteReadError at the end of the pipe."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return pickle.loads(await reader.readexactly(length))  # noqa: S301 - see the module's docstring


class BlockingPipe:
    """The worker's end: plain blocking file descriptors, `send` from any thread."""

    def __init__(self, read_descriptor: int, write_descriptor: int) -> None:
        self._reader = os.fdopen(read_descriptor, "rb")
        self._writer = write_descriptor
        self._lock = threading.Lock()

    def receive(self) -> Any:
        """The next message; None at the end of the pipe."""
        header = self._reader.read(_LENGTH.size)
        if len(header) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack(header)
        body = self._reader.read(length)
        return pickle.loads(body) if len(body) == length else None  # noqa: S301

    def send(self, message: FromWorker) -> None:
        """Writes the whole message. Raises BrokenPipeError if nobody reads any more."""
        rest = memoryview(pack(message))
        with self._lock:
            while rest:
                rest = rest[os.write(self._writer, rest) :]
