"""Checkpoints as safetensors files: written whole or not at all, read back or reported as unusable."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from impasto_server import durable, nst

_META = "impasto"


def save(checkpoint: nst.Checkpoint, path: Path) -> None:
    """Replaces the file at `path`, on disk before this returns. Raises OSError; the file before stays then."""
    scratch = path.with_suffix(".writing")
    try:
        save_file(dict(checkpoint.tensors), scratch, metadata={_META: json.dumps(dict(checkpoint.meta))})
        durable.replace(scratch, path)
    except SafetensorError as error:  # safetensors has its own name for a full disk
        raise OSError(f"{path} could not be written: {error}") from error
    finally:
        scratch.unlink(missing_ok=True)


def load(path: Path) -> nst.Checkpoint:
    """The checkpoint at `path`. Raises nst.CheckpointError if it can't be read."""
    try:
        with safe_open(path, "pt") as file:
            meta = json.loads(file.metadata()[_META])
            return nst.Checkpoint({name: file.get_tensor(name) for name in file.keys()}, meta)  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise nst.CheckpointError(f"The checkpoint {path.name} can't be read: {error}.") from error
