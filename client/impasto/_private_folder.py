"""Folders that only the user can enter, and where in them a Unix socket can be."""

import hashlib
import os
import re
import socket
import stat
from pathlib import Path

from impasto._config import STATE_DIR_VARIABLE
from impasto._exceptions import LocalServerError

POSIX = os.name == "posix"


def make_private(folder: Path) -> None:
    """Makes sure that nobody else can enter the folder. Raises LocalServerError if somebody else owns it."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not POSIX:
            return
        status = folder.lstat()
        # In a shared /tmp somebody may have made the folder before us, or put a link there.
        if status.st_uid != os.getuid() or folder.is_symlink():
            raise LocalServerError(
                f"{folder} belongs to somebody else, so a private server can't listen there. "
                f"Remove it, or set {STATE_DIR_VARIABLE} to a folder of your own."
            )
        if status.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        if isinstance(error, LocalServerError):
            raise
        raise LocalServerError(f"{folder} can't be made for the private local server: {error}.") from None


def is_private(folder: Path) -> bool:
    """True for what `make_private` leaves behind. Raises OSError if there is no such folder."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077


def socket_path(folder: Path, name: str) -> Path:
    """Where a socket of this name can be bound: in the folder, or in a private one in /tmp that stands for it.

    It can't be in the folder if the path is longer than 103 to 107 bytes, or if the file system has no sockets.
    What is left of an earlier socket there is removed. Raises LocalServerError.
    """
    # Not in TMPDIR, which sessions may not share: a client returns to the address that it knows, whoever starts the
    # server again.
    stand_in = f"impasto-{os.getuid()}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"
    for place in (folder, Path("/tmp") / stand_in):  # noqa: S108 (closed to others by make_private)
        make_private(place)
        if can_bind(place / name):
            return place / name
    raise LocalServerError(
        f"The private local server needs a Unix socket, and neither {folder} nor {place} can have one. "
        f"Set {STATE_DIR_VARIABLE} to a folder with a short name on a local disk."
    )


def can_bind(path: Path) -> bool:
    """True if a server can listen on a Unix socket there; leaves nothing there."""
    # gRPC takes other characters for parts of a URI, or for the end of the path.
    if not re.fullmatch(r"[\w/ .-]+", str(path)):
        return False
    try:
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(str(path))
        path.unlink()
    except OSError:
        return False
    return True
