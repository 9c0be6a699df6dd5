"""A small file system of its own, and the last byte of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_BLOCK_BYTES = 4096


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """The folder with a file system of that size mounted on it; skips the test where mounting isn't allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("NOT TESTED HERE: a full disk (mounting a tmpfs needs root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(path: Path) -> None:
    """Makes or lengthens a file until its file system is full."""
    with path.open("ab", buffering=0) as file:
        disk = os.statvfs(file.fileno())
        if disk.f_bavail:
            # At once, so that there is hardly a moment when the disk is nearly full.
            os.posix_fallocate(file.fileno(), file.tell(), disk.f_bavail * disk.f_frsize)
        with pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(_BLOCK_BYTES))
