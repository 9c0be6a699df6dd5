"""The state folder: blobs, checkpoints, how much of the disk they may take, and what is swept away when."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection
from pathlib import Path

from .blobs import BlobStore
from .errors import DiskFull

# An upload that no job refers to is kept this long: its client is about to ask for a job.
UNUSED_KEPT_S = 3600.0
# Given back to the file system when it is full, so that what runs can end in order.
_RESERVE_BYTES = 8 * 2**20


class Storage:
    """Blobs and checkpoints of one server. `max_bytes` bounds both together; None: as much as there is."""

    def __init__(self, folder: Path, max_bytes: int | None) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._checkpoints = folder / "checkpoints"
        self._checkpoints.mkdir(parents=True, exist_ok=True)
        for unfinished in self._checkpoints.glob("*.writing"):
            unfinished.unlink()
        self._steps: dict[str, int] = {}
        self._reserve = folder / "reserve"
        self.blobs = BlobStore(folder / "blobs")
        self.keep_reserve()

    def checkpoint_path(self, job_id: str) -> Path:
        """Where a job's checkpoint is, if it has one."""
        return self._checkpoints / f"{job_id}.safetensors"

    def beginning_path(self, job_id: str) -> Path:
        """Where the checkpoint is that a continuing job begins from."""
        return self._checkpoints / f"{job_id}.beginning.safetensors"

    def begin_from(self, job_id: str, before_id: str) -> None:
        """Lets a job begin from another's checkpoint, which it keeps, whatever becomes of the other."""
        os.link(self.checkpoint_path(before_id), self.beginning_path(job_id))

    def has_checkpoint(self, job_id: str) -> bool:
        """Whether a job could be gone on with."""
        return self.checkpoint_path(job_id).exists()

    def note_checkpoint(self, job_id: str, step: int) -> None:
        """A worker has written the checkpoint of this step."""
        self._steps[job_id] = step

    def checkpointed_step(self, job_id: str) -> int:
        """The step of the job's checkpoint as far as this life of the server knows; -1 if there is none."""
        return self._steps.get(job_id, -1)

    async def adopt(self, path: Path) -> str:
        """Makes a result a blob. Returns its hash."""
        return await asyncio.to_thread(self.blobs.adopt, path)

    def forget(self, job_id: str) -> None:
        """Removes a job's checkpoint."""
        self._steps.pop(job_id, None)
        self.checkpoint_path(job_id).unlink(missing_ok=True)
        self.beginning_path(job_id).unlink(missing_ok=True)

    def check_room(self, more_bytes: int = 0) -> None:
        """Raises DiskFull if new work would take more than there is. What runs is never asked."""
        if self._max_bytes is not None:
            used = self.used_bytes()
            if used + more_bytes > self._max_bytes:
                raise DiskFull(
                    f"The server keeps {used / 1e6:.0f} MB and may keep {self._max_bytes / 1e6:.0f} MB: "
                    "delete jobs that are no longer needed, or try again later."
                )
        if not self._reserve.exists() and not self.keep_reserve():
            raise DiskFull("The server's disk is full: it takes no new work until there is room again.")

    def used_bytes(self) -> int:
        """What blobs and checkpoints take now."""
        return self.blobs.used_bytes() + sum(path.stat().st_size for path in self._checkpoints.iterdir())

    def sweep(self, needed: Collection[str], jobs: Collection[str]) -> None:
        """Removes blobs that nothing needs and nobody has sent lately, and checkpoints without a job."""
        oldest = time.time() - UNUSED_KEPT_S
        for sha256 in list(self.blobs):
            if sha256 not in needed and self.blobs.path(sha256).stat().st_mtime < oldest:
                self.blobs.delete(sha256)
        for path in self._checkpoints.glob("*.safetensors"):
            if path.name.partition(".")[0] not in jobs:
                path.unlink()

    def keep_reserve(self) -> bool:
        """Puts some of the disk aside; False if there isn't enough."""
        if self._reserve.exists():
            return True
        try:
            with self._reserve.open("wb") as file:
                file.write(bytes(_RESERVE_BYTES))
        except OSError:
            self._reserve.unlink(missing_ok=True)
            return False
        return True

    def release_reserve(self) -> None:
        """Gives back what was put aside."""
        self._reserve.unlink(missing_ok=True)
