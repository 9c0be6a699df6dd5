"""Locks between processes, on files; the system lets go of them when their holder dies."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO


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
        """True if another process, or another opening of the file, holds the lock.

        The file is open for writing: NFS locks no other.
        """
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

    def is_locked(file: IO[bytes]) -> bool:
        """True if another process, or another opening of the file, holds the lock."""
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return True
        unlock(file)
        return False

    def unlock(file: IO[bytes]) -> None:
        """Lets go of it."""
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
