"""The folder where the private server's socket lives: short of name, closed to others, with locks between processes."""

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from impasto._config import STATE_DIR_VARIABLE
from impasto._exceptions import LocalServerError

POSIX = os.name == "posix"
# sockaddr_un.sun_path is 108 bytes on Linux and 104 on macOS, with the final NUL.
LONGEST_SOCKET_PATH = 103
LONGEST_SOCKET_NAME = len("server-00.00.00.dev00.sock")


def user_runtime_dir() -> Path:
    """A folder for sockets that lives as long as the user's session."""
    import platformdirs

    if sys.platform.startswith("linux") and not os.environ.get("XDG_RUNTIME_DIR"):
        return temporary_dir("session")
    return platformdirs.user_runtime_path("impasto")


def short_enough(runtime_dir: Path) -> Path:
    """The same folder, or one with a short name that stands for it."""
    # Whatever the version, so that each finds what the one before it left running.
    if len(os.fsencode(runtime_dir)) + 1 + LONGEST_SOCKET_NAME <= LONGEST_SOCKET_PATH:
        return runtime_dir
    return temporary_dir(hashlib.sha256(os.fsencode(runtime_dir)).hexdigest()[:12])


def temporary_dir(name: str) -> Path:
    """A folder of ours among the temporary files."""
    owner = os.getuid() if POSIX else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"impasto-{owner}-{name}"


def make_private(folder: Path) -> None:
    """Makes sure that nobody else can enter the folder. Raises LocalServerError if somebody else owns it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not POSIX:
            return
        status = folder.lstat()
        # In a shared /tmp somebody may have made the folder before us, or put a link there.
        if status.st_uid != os.getuid() or folder.is_symlink():
            raise LocalServerError(
                f"{folder} belongs to somebody else, so a private server can't listen there. "
                f"Remove it, or set XDG_RUNTIME_DIR or {STATE_DIR_VARIABLE} to a folder of your own."
            )
        if status.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        if isinstance(error, LocalServerError):
            raise
        raise LocalServerError(f"{folder} can't be made for the private local server: {error}.") from None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock between processes; the system lets go of it if we die."""
    with path.open("a+b") as file:
        lock(file)
        try:
            yield
        finally:
            unlock(file)


if sys.platform != "win32":
    import fcntl

    def lock(file: IO[bytes]) -> None:
        """Waits for the lock."""
        fcntl.flock(file, fcntl.LOCK_EX)

    def is_locked(file: IO[bytes]) -> bool:
        """True if another process, or another opening of the file, holds the lock."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        unlock(file)
        return False

    def unlock(file: IO[bytes]) -> None:
        """Lets go of it."""
        fcntl.flock(file, fcntl.LOCK_UN)

else:
    import msvcrt

    def lock(file: IO[bytes]) -> None:
        """Waits for the lock."""
        file.seek(0)
        while True:
            with contextlib.suppress(OSError):
                # Tries for ten seconds and then raises.
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                return

    def unlock(file: IO[bytes]) -> None:
        """Lets go of it."""
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
