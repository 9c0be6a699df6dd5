"""`impasto helper --listen`: hosts that can't start a helper, for they are shut in a sandbox, find one at a socket.

Each connection has a helper process of its own, whose stdin and stdout the connection is: the frames are the same, and
one that dies takes no other with it. This process only accepts.
"""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from impasto._exceptions import ImpastoError
from impasto._file_lock import is_locked, lock
from impasto._private_folder import make_private

MOST_HOSTS = 16
LOOK_S = 1.0
"""Between two looks at which sessions have ended."""


class ListeningError(ImpastoError):
    """Nobody can listen there."""


def listen(path: Path, idle_s: float | None) -> None:
    """Serves hosts at this socket until nobody has been connected for `idle_s` seconds; None: until it is ended.

    The folder of `path` becomes one that only the user can enter. Raises ListeningError, LocalServerError.
    """
    if sys.platform == "win32":
        raise ListeningError("`impasto helper --listen` is for sandboxes on Linux: here GIMP starts the helper itself.")
    # `systemctl stop` and a closed terminal end it like Ctrl+C does: the socket goes, sessions end with their hosts.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    sessions: list[subprocess.Popen[bytes]] = []
    try:
        with listening(path) as door:
            door.settimeout(LOOK_S)
            last_busy = time.monotonic()
            while idle_s is None or time.monotonic() - last_busy < idle_s:
                with contextlib.suppress(TimeoutError):
                    connection, _ = door.accept()
                    with connection:
                        # Some systems hand the timeout on to what was accepted.
                        connection.setblocking(True)
                        sessions = running(sessions)
                        admit(connection, sessions)
                sessions = running(sessions)
                if sessions:
                    last_busy = time.monotonic()
    except KeyboardInterrupt:
        return


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """The socket, taken over from whoever has died there; gone afterwards. Raises ListeningError, LocalServerError."""
    make_private(path.parent)
    with path.with_suffix(".lock").open("a+b") as held:
        if is_locked(held):
            raise ListeningError(f"A helper listens at {path} already.")
        lock(held)
        with socket.socket(socket.AF_UNIX) as door:
            try:
                path.unlink(missing_ok=True)
                door.bind(str(path))
                path.chmod(0o600)
                door.listen(MOST_HOSTS)
            except OSError as error:
                raise ListeningError(f"Nobody can listen at {path}: {error.strerror or error}.") from None
            try:
                yield door
            finally:
                path.unlink(missing_ok=True)


def admit(connection: socket.socket, sessions: list[subprocess.Popen[bytes]]) -> None:
    """Gives a host a helper of its own; or a refusal, if too many have one."""
    sentence = "Too many GIMPs use Impasto's helper: close one of their dialogs."
    if len(sessions) < MOST_HOSTS:
        command = [sys.executable, "-P", "-m", "impasto", "helper"]
        try:
            sessions.append(subprocess.Popen(command, stdin=connection.fileno(), stdout=connection.fileno()))
        except OSError as error:
            sentence = f"Impasto's helper can't be started: {error.strerror or error}."
        else:
            return
    refusal = {"event": "failed", "kind": "ListeningError", "sentence": sentence, "details": ""}
    with contextlib.suppress(OSError):
        connection.setblocking(False)
        connection.sendall(json.dumps(refusal).encode() + b"\n")


def running(sessions: list[subprocess.Popen[bytes]]) -> list[subprocess.Popen[bytes]]:
    """Those that have not ended."""
    return [session for session in sessions if session.poll() is None]


def stop(_number: int, _frame: object) -> None:
    """Ends the listening as Ctrl+C does."""
    # A second signal must not interrupt the clearing up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def reachable(path: Path, timeout_s: float) -> str:
    """The version of the helper that listens there. Raises ListeningError if none answers."""
    deadline = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
            connection.sendall(b'{"id":1,"ask":"hello"}\n')
            line = b""
            while not line.endswith(b"\n") and time.monotonic() < deadline:
                if not (more := connection.recv(1 << 16)):
                    break
                line += more
            return str(json.loads(line)["version"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ListeningError(f"nobody answers at {path}: {error}") from None
