"""What a host is told about one request: frames under its id, and nothing after the last word."""

import threading
from collections.abc import Mapping
from typing import Any

from impasto._helper._frames import FrameWriter

LAST_WORDS = ("done", "cancelled", "failed")


class Answers:
    """The answers to one request. Threads may share it."""

    def __init__(self, writer: FrameWriter, request_id: Any) -> None:
        self._writer = writer
        self._request_id = request_id
        self._lock = threading.Lock()
        self._over = False

    def tell(self, event: str, parts: Mapping[str, bytes] | None = None, **fields: Any) -> None:
        """Sends a frame, unless the last word was said. Raises HostGoneError."""
        with self._lock:
            if self._over:
                return
            self._over = event in LAST_WORDS
            self._writer.write({"id": self._request_id, "event": event, **fields}, parts)
