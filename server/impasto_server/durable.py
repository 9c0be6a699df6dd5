"""Files that are whole or not there, whatever moment the power goes. A leaf like `recipes`."""

from __future__ import annotations

import os
from pathlib import Path


def replace(scratch: Path, target: Path) -> None:
    """Moves a finished file over another one of the same file system; on disk before this returns.

    Raises OSError; what was there before stays then.
    """
    # Windows syncs only what is open for writing.
    descriptor = os.open(scratch, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(scratch, target)
    _sync_folder(target.parent)


def make_folder(folder: Path) -> None:
    """Makes a folder in one that is there, unless it is there too; on disk before this returns. Raises OSError."""
    if not folder.exists():
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(path: Path) -> None:
    if os.name == "nt":  # Windows keeps folder entries itself and can't open them
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
