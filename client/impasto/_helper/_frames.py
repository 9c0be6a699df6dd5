"""Frames: one line of JSON, then as many raw bytes as its `parts` announce. The same in both directions."""

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST_LINE_BYTES = 1 << 20
LARGEST_PART_BYTES = 1 << 32
READ_BYTES = 1 << 20


class FrameError(Exception):
    """The other side doesn't speak the protocol; there is no way to find the next frame."""


class HostGoneError(Exception):
    """Nobody reads what we write: the host has ended."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A message and the bytes that belong to it, by name."""

    head: Mapping[str, Any]
    parts: Mapping[str, bytes] = field(default_factory=dict)


class FrameReader:
    """Frames from a file descriptor. Unbuffered reads: they return as soon as the host dies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = bytearray()

    def read(self) -> Frame | None:
        """The next frame; None once the other side has closed. Raises FrameError."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LONGEST_LINE_BYTES:
                raise FrameError("A line of more than 1 MiB: this is no frame.")
            if not self._fill():
                return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        head = parse_head(line)
        parts: dict[str, bytes] = {}
        for name, size in head.pop("parts", []):
            part = self._take(size)
            if part is None:
                return None
            parts[name] = part
        return Frame(head, parts)

    def _fill(self) -> bool:
        data = os.read(self._descriptor, READ_BYTES)
        self._buffer += data
        return bool(data)

    def _take(self, size: int) -> bytes | None:
        while len(self._buffer) < size:
            if not self._fill():
                return None
        part = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return part


def parse_head(line: bytes) -> dict[str, Any]:
    """The object of a line, its `parts` checked. Raises FrameError."""
    try:
        head = json.loads(line)
    except ValueError:
        raise FrameError(f"A line of JSON was expected, not {line[:60]!r}.") from None
    if not isinstance(head, dict):
        raise FrameError("A frame's line has to be a JSON object.")
    parts = head.get("parts", [])
    well_formed = isinstance(parts, list) and all(
        isinstance(part, list)
        and len(part) == 2
        and isinstance(part[0], str)
        and isinstance(part[1], int)
        and 0 <= part[1] <= LARGEST_PART_BYTES
        for part in parts
    )
    if not well_formed:
        raise FrameError('`parts` has to be a list of [name, bytes]: [["content", 6000]].')
    return head


class FrameWriter:
    """Frames to a file descriptor, whole and one at a time, whichever thread sends them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, head: Mapping[str, Any], parts: Mapping[str, bytes] | None = None) -> None:
        """Sends a frame. Raises HostGoneError."""
        line = dict(head)
        if parts:
            line["parts"] = [[name, len(part)] for name, part in parts.items()]
        with self._lock:
            self._write_all(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
            for part in (parts or {}).values():
                self._write_all(part)

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise HostGoneError(str(error)) from None
