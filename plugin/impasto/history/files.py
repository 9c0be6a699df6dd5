"""Files that are there whole or not at all."""

import os
from pathlib import Path


def write_whole(path, data):
    """Writes a file in place of an older one. Raises OSError."""
    path = Path(path)
    half = path.with_name(f".{path.name}.{os.getpid()}.half")
    try:
        half.write_bytes(data)
        half.replace(path)
    except OSError:
        half.unlink(missing_ok=True)
        raise
