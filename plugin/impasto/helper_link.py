"""The pipe to the helper process: starts it, sends frames, receives frames, ends it. Knows nothing of GIMP.

The protocol is docs/helper-protocol.md. A thread reads; what it reads goes to `deliver`, in that thread.
"""

import contextlib
import itertools
import json
import os
import queue
import subprocess
import tempfile
import threading
from pathlib import Path

from texts import Refusal, _

COMMAND_FILE = Path(__file__).with_name("helper.json")
COMMAND_VARIABLE = "IMPASTO_HELPER"
"""A JSON list that takes the place of the installed command; for tests and for people who build."""
PROTOCOL = 2
"""What a helper of our own version says in `hello`."""
LOST = {"event": "lost"}
"""Delivered when the helper's end of the pipe closes."""
HOST_CHECK_S = 0.5
END_S = 1.0


def helper_command():
    """The command that starts the helper. Raises Refusal if nobody has said what it is."""
    try:
        if os.environ.get(COMMAND_VARIABLE):
            return list(json.loads(os.environ[COMMAND_VARIABLE]))
        return list(json.loads(COMMAND_FILE.read_text(encoding="utf-8"))["command"])
    except (OSError, ValueError, KeyError, TypeError):
        raise Refusal(
            _("Impasto's helper is not set up: run `impasto gimp install` in a terminal, then start GIMP again.")
        ) from None


class HelperLink:
    """A running helper. Without `deliver`, frames are collected and `next_frame` hands them out."""

    def __init__(self, deliver=None):
        self._frames = queue.Queue()
        self._deliver = deliver or (lambda head, parts: self._frames.put((head, parts)))
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._host = os.getppid()
        # A file, not a pipe: nobody has to read along, and it is there when the helper is not.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        try:
            self._process = subprocess.Popen(
                helper_command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                # GIMP's Python may be told by its environment where its modules are; the helper's must not.
                env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise Refusal(
                _("Impasto's helper can't be started ({reason}): run `impasto gimp install` again.").format(
                    reason=error.strerror or error
                )
            ) from None
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, question, parts=None, **fields):
        """Sends a request and returns its id, which all its answers carry."""
        request_id = next(self._ids)
        head = {"id": request_id, "ask": question, **fields}
        if parts:
            head["parts"] = [[name, len(part)] for name, part in parts.items()]
        with self._lock:
            try:
                self._process.stdin.write(json.dumps(head).encode() + b"\n")
                for part in (parts or {}).values():
                    self._process.stdin.write(part)
                self._process.stdin.flush()
            except (OSError, ValueError):
                pass  # the reader sees the end of the pipe, too, and says so
        return request_id

    def next_frame(self):
        """Waits for a frame: its head and parts. Ends the process if the host dies meanwhile."""
        while True:
            try:
                return self._frames.get(timeout=HOST_CHECK_S)
            except queue.Empty:
                self.end_with_host()

    def end_with_host(self):
        """Leaves if GIMP is gone; it has no other way to tell us while we wait for somebody else."""
        if os.getppid() != self._host:
            self.close()
            os._exit(1)

    def lost_sentence(self):
        """What to say when the helper has died."""
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        text = _("Impasto's helper stopped unexpectedly.")
        return f"{text} {lines[-1]}" if lines else text

    def close(self):
        """Ends the helper: it leaves when its stdin closes, and the server's jobs go on."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()

    def _read(self):
        stdout = self._process.stdout
        try:
            while line := stdout.readline():
                head = json.loads(line)
                parts = {}
                for name, size in head.pop("parts", []):
                    parts[name] = stdout.read(size)
                    if len(parts[name]) < size:
                        raise EOFError
                self._deliver(head, parts)
        except (OSError, ValueError, EOFError):
            pass
        self._deliver(LOST, {})
