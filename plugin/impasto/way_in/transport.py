"""The two ways to a helper: a process of our own, or, where GIMP may start none, a socket at which one listens.

Flathub's GIMP shares its profile with a native one. So which way it is is found out when a helper is wanted, and
`helper.json`, beside the plug-in, has both: `command`, `socket`, and in `start` what a user types so that one listens.
"""

import contextlib
import json
import os
import select
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from texts import Refusal, _
from way_in.outside import outside

COMMAND_FILE = "helper.json"
SANDBOX_MARK = Path("/.flatpak-info")
"""In every sandbox of Flatpak, and nowhere else."""
CONNECT_S = 0.25
LOOK_S = 0.05


class NobodyListens(Refusal):
    """In this sandbox there is no helper; `command` is what the painter types outside so that there is one."""

    def __init__(self, command):
        super().__init__(
            _("This GIMP runs in a sandbox. Type this once in a terminal, then try again: {command}").format(
                command=command
            )
        )
        self.command = command


def helper_facts(plug_in):
    """What `helper.json` in the plug-in's folder says. Raises Refusal if it is not there, or says nothing."""
    try:
        facts = json.loads((plug_in / COMMAND_FILE).read_text(encoding="utf-8"))
        if facts["command"] and all(isinstance(word, str) for word in facts["command"]):
            return facts
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise Refusal(_("Impasto is not set up yet."))


def is_set_up(plug_in, sandbox_mark=SANDBOX_MARK):
    """Whether a helper was ever set up here and is still there; in a sandbox, whether one was."""
    try:
        facts = helper_facts(plug_in)
    except Refusal:
        return False
    return bool(facts.get("socket")) if sandbox_mark.exists() else shutil.which(facts["command"][0]) is not None


def open_helper(plug_in, *, command=None, sandbox_mark=SANDBOX_MARK):
    """A helper of our own: a PipedHelper, or a SocketHelper in a sandbox. Raises Refusal if there can't be one.

    `command` takes the place of what `helper.json` says.
    """
    if command:
        return PipedHelper(command)
    facts = helper_facts(plug_in)
    if sandbox_mark.exists():
        listening = [*facts["command"], "--listen"]
        return SocketHelper(facts.get("socket") or "", facts.get("start") or shlex.join(listening))
    return PipedHelper(facts["command"])


def check_listening(plug_in, sandbox_mark=SANDBOX_MARK):
    """Raises NobodyListens in a sandbox that can't reach a helper; outside of one there is nothing to check."""
    if sandbox_mark.exists():
        helper = open_helper(plug_in, sandbox_mark=sandbox_mark)
        helper.kill()
        helper.close()


class PipedHelper:
    """A helper that is our child."""

    def __init__(self, command):
        # A file, not a pipe: nobody has to read along, and it is there when the helper is not.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                env=outside(os.environ),
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            self._complaints.close()
            raise Refusal(
                _("Impasto's helper can't be started ({reason}). Set Impasto up again.").format(
                    reason=error.strerror or error
                )
            ) from None
        self.read_fd, self.write_fd = self._process.stdout.fileno(), self._process.stdin.fileno()

    def complaints(self):
        """What it has written to stderr."""
        # Not seek and read: the helper writes at the same file position.
        size = os.fstat(self._complaints.fileno()).st_size
        if hasattr(os, "pread"):
            return os.pread(self._complaints.fileno(), size, 0).decode(errors="replace")
        self._complaints.seek(0)
        return self._complaints.read().decode(errors="replace")

    def hang_up(self):
        """Tells it that we are done: it leaves at once, and the server's jobs go on. `read_fd` ends then."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def kill(self):
        """Ends it, whatever it does."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def wait(self, timeout):
        """True once it has ended; False if it hasn't within `timeout` seconds."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self):
        """Gives back the descriptors, once nobody reads or writes any more."""
        for file in (self._process.stdin, self._process.stdout, self._complaints):
            with contextlib.suppress(OSError):
                file.close()


class SocketHelper:
    """A helper that listens outside of our sandbox; what it complains of is told there."""

    def __init__(self, path, start):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(CONNECT_S)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise NobodyListens(start) from None
        self._socket.settimeout(None)
        self.read_fd = self.write_fd = self._socket.fileno()

    def complaints(self):
        """Nothing: its stderr is not ours."""
        return ""

    def hang_up(self):
        """Tells it that we are done: it leaves at once, and the server's jobs go on. `read_fd` ends then."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def kill(self):
        """Ends the connection, and with it a helper that looks after it; `read_fd` ends at once."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def wait(self, timeout):
        """True once the connection has ended; False if it hasn't within `timeout` seconds."""
        ended = select.poll()
        ended.register(self._socket, select.POLLHUP)
        deadline = time.monotonic() + timeout
        while not any(state & (select.POLLHUP | select.POLLNVAL) for _fd, state in ended.poll(0)):
            if time.monotonic() >= deadline:
                return False
            # Not a poll that waits: another thread may end the connection, which wakes nobody up on some systems.
            time.sleep(LOOK_S)
        return True

    def close(self):
        """Gives back the descriptor, once nobody reads or writes any more."""
        self._socket.close()
