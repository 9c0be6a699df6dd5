"""A host as small as can be: starts the helper, sends frames, reads frames."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Self

Answer = tuple[dict[str, Any], dict[str, bytes]]


class Host:
    """A helper process and both ends of the conversation; a context manager that leaves nothing behind."""

    def __init__(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "impasto", "helper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
        )
        assert self.process.stdin
        assert self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def ask(self, request_id: int, question: str, parts: dict[str, bytes] | None = None, **fields: Any) -> None:
        head = {"id": request_id, "ask": question, **fields}
        if parts:
            head["parts"] = [[name, len(part)] for name, part in parts.items()]
        self.send(json.dumps(head).encode() + b"\n" + b"".join((parts or {}).values()))

    def send(self, data: bytes) -> None:
        self.stdin.write(data)
        self.stdin.flush()

    def read(self) -> Answer:
        head = json.loads(self.stdout.readline())
        return head, {name: self.stdout.read(size) for name, size in head.get("parts", [])}

    def until(self, *events: str) -> Iterator[Answer]:
        """All frames up to the first of these events, which is the last."""
        while True:
            head, parts = self.read()
            yield head, parts
            if head["event"] in events:
                return

    def end(self, *events: str) -> Answer:
        """The first frame of these events."""
        *_, last = self.until(*events)
        return last

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.stdin.close()
        self.stdout.close()
