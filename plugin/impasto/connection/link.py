"""Frames to a helper and from it. Nothing here waits for it: a helper that hangs holds neither GIMP nor us.

The protocol is docs/helper-protocol.md. One thread reads, one writes; how a helper is reached is way_in/transport.py.
"""

import contextlib
import io
import itertools
import json
import os
import queue
import threading
from pathlib import Path

from way_in.transport import open_helper

PLUG_IN = Path(__file__).parent.parent
COMMAND_VARIABLE = "IMPASTO_HELPER"
"""A JSON list that takes the place of the installed command; for people who build."""
END_S = 5.5
"""A helper that was told to cancel stays so long until the server has heard of it, and ends by itself."""
LET_GO_S = 0.5


class HelperLink:
    """A running helper. `deliver` gets each frame's head and parts in a thread of ours, and (None, {}) at the end.

    Raises Refusal if there is no helper to be had.
    """

    def __init__(self, deliver):
        self._deliver = deliver
        self._ids = itertools.count(1)
        self._outgoing = queue.SimpleQueue()
        self._helper = open_helper(PLUG_IN, command=json.loads(os.environ.get(COMMAND_VARIABLE) or "null"))
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._write)]
        for thread in self._threads:
            thread.start()

    def send(self, question, parts=None, **fields):
        """Sends a request as soon as the helper reads it, and returns its id, which all its answers carry."""
        request_id = next(self._ids)
        head = {"id": request_id, "ask": question, **fields}
        if parts:
            head["parts"] = [[name, len(part)] for name, part in parts.items()]
        self._outgoing.put([json.dumps(head).encode() + b"\n", *(parts or {}).values()])
        return request_id

    def complaints(self):
        """What the helper has said on stderr."""
        return self._helper.complaints().strip()

    def close(self):
        """Ends the helper: it leaves when nobody writes any more, and the server's jobs go on."""
        self._outgoing.put(None)
        if self._helper.wait(END_S):
            self._let_go()
        else:
            self.kill()

    def kill(self):
        """Ends a helper that hangs."""
        self._outgoing.put(None)
        self._helper.kill()
        self._helper.wait(END_S)
        self._let_go()

    def _let_go(self):
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(LET_GO_S)
        if not any(thread.is_alive() for thread in self._threads):
            self._helper.close()

    def _write(self):
        # What fails here the reader sees, too: the helper's end is closed.
        with contextlib.suppress(OSError):
            while chunks := self._outgoing.get():
                for chunk in chunks:
                    view = memoryview(chunk)
                    while view:
                        view = view[os.write(self._helper.write_fd, view) :]
        self._helper.hang_up()

    def _read(self):
        incoming = io.BufferedReader(io.FileIO(self._helper.read_fd, closefd=False))
        with contextlib.suppress(OSError, ValueError, EOFError):
            while line := incoming.readline():
                head = json.loads(line)
                parts = {}
                for name, size in head.pop("parts", []):
                    parts[name] = incoming.read(size)
                    if len(parts[name]) < size:
                        raise EOFError
                self._deliver(head, parts)
        self._deliver(None, {})
