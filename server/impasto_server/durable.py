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
    if os.name != "nt":  # Windows keeps folder entries itself and can't open them
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
