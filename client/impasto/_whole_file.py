"""Files that are there whole or not at all, whoever else writes or reads them."""

import os
import threading
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Writes beside the target and moves it there. Raises OSError; then the target is as it was."""
    # Two threads may write at once: neither may move what the other has begun.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
