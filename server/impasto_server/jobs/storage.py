"""Blobs of a server: which there are, who refers to them, how much of the disk they may take, and when they go.

The journal counts references; only `sweep` deletes. Whoever is about to refer to a blob *holds* it until the journal
has the reference, and neither a hold nor a sweep begins in the middle of the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from impasto_server.codec import ImageFacts
from impasto_server.engine import Blob

from .blobs import BlobFiles, IncomingBlob
from .errors import DiskFull
from .writer import Writer

UPLOAD_KEPT_S = 3600.0
"""An upload that no job refers to is kept this long: its client is about to ask for a job."""
_RESERVE_BYTES = 8 * 2**20
_SWEPT_TOGETHER = 200

log = logging.getLogger(__name__)


class Reserve:
    """Some of the disk put aside, so that what runs can end in order when there is no room any more."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "reserve"
        self.is_there = False

    def take(self) -> bool:
        """Puts it aside; False if there isn't enough room. For a thread."""
        if not self._path.exists() or self._path.stat().st_size < _RESERVE_BYTES:
            try:
                self._path.write_bytes(bytes(_RESERVE_BYTES))
            except OSError:
                self._path.unlink(missing_ok=True)
                self.is_there = False
                return False
        self.is_there = True
        return True

    def release(self) -> None:
        """Gives it back. For a thread."""
        self.is_there = False
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


class Storage:
    """`max_bytes` bounds all blobs together; None: as much as there is."""

    def __init__(self, folder: Path, max_bytes: int | None, writer: Writer, reserve: Reserve) -> None:
        self.files = BlobFiles(folder / "blobs")
        self._folder = folder
        self._max_bytes = max_bytes
        self._writer = writer
        self._reserve = reserve
        self._held: Counter[str] = Counter()
        self._moving = asyncio.Lock()

    async def open(self) -> None:
        """Makes the folder ready and removes what is in it without the journal's knowing."""
        await asyncio.to_thread(self.files.prepare)
        await asyncio.to_thread(self._reserve.take)
        await self._remove_strays()

    def path(self, sha256: str) -> Path:
        """Where the blob is, if it is there."""
        return self.files.path(sha256)

    def scratch_path(self) -> Path:
        """A name nobody has."""
        return self.files.scratch_path()

    def hold_for_attempt(self) -> HeldBlobs:
        """What an attempt brings stays until the journal has it, or the attempt is over."""
        return HeldBlobs(self)

    async def facts(self, sha256: str) -> tuple[int, ImageFacts | None] | None:
        """Size in bytes and facts of a blob, None if there is none."""
        return await self._writer.read(lambda journal: journal.blob(sha256))

    async def renew(self, sha256: str) -> bool:
        """Somebody is about to send it again: it counts as new. False if it is no longer there. Raises DiskFull."""
        until = time.time() + UPLOAD_KEPT_S
        return await self._writer.try_to_write(lambda journal: journal.renew_promise(sha256, until))

    async def take_in(self, incoming: IncomingBlob, sha256: str, facts: ImageFacts) -> None:
        """Makes a finished upload a blob. Raises OSError, DiskFull."""
        until = time.time() + UPLOAD_KEPT_S
        await self.hold(sha256, incoming.path)
        try:
            try:
                size_bytes = incoming.size_bytes
                await self._writer.try_to_write(lambda journal: journal.promise(sha256, size_bytes, until, facts))
            finally:
                self.let_go(sha256)
        except DiskFull:
            await self.discard(sha256)
            raise

    async def hold(self, sha256: str, path: Path) -> None:
        """Moves a finished file in; no sweep takes it until `let_go`. Raises OSError."""
        async with self._moving:
            moving = asyncio.ensure_future(asyncio.to_thread(self.files.settle, path, sha256))
            try:
                await asyncio.shield(moving)
            except asyncio.CancelledError:  # the thread goes on: what it moved is nobody's
                await asyncio.wait([moving])
                if moving.exception() is None:
                    await self._delete_unless_wanted(sha256)
                raise
            self._held[sha256] += 1

    def let_go(self, sha256: str) -> None:
        """The journal has the reference, or nobody wants it."""
        self._held[sha256] -= 1
        if not self._held[sha256]:
            del self._held[sha256]

    async def discard(self, sha256: str) -> None:
        """Removes a file that was moved in for nothing, unless the journal or somebody else wants it."""
        async with self._moving:
            await self._delete_unless_wanted(sha256)

    async def check_room(self, more_bytes: int = 0) -> None:
        """Raises DiskFull if new work would take more than there is. What runs is never asked."""
        if self._max_bytes is not None:
            used = await self._writer.read(lambda journal: journal.used_bytes())
            if used + more_bytes > self._max_bytes:
                raise DiskFull(
                    f"The server keeps {used / 1e6:.0f} MB and may keep {self._max_bytes / 1e6:.0f} MB: "
                    "delete jobs that are no longer needed, or try again later."
                )
        # A job needs room for its checkpoint and its picture, though the journal may have some left for its row.
        free = (await asyncio.to_thread(shutil.disk_usage, self._folder)).free
        if not self._reserve.is_there or free < more_bytes + _RESERVE_BYTES:
            raise DiskFull("The server's disk is full: it takes no new work until there is room again.")

    async def sweep(self) -> None:
        """Deletes blobs that nothing refers to and nobody was promised, then puts the reserve aside again."""
        swept = _SWEPT_TOGETHER
        while swept == _SWEPT_TOGETHER:
            async with self._moving:
                held = frozenset(self._held)
                dropped = await self._writer.try_to_write(
                    lambda journal, held=held: journal.drop_unreferenced(held, _SWEPT_TOGETHER)  # type: ignore[misc]
                )
                swept = len(dropped)
                await asyncio.to_thread(self.files.delete, dropped)
        await asyncio.to_thread(self._reserve.take)

    async def _delete_unless_wanted(self, sha256: str) -> None:
        if sha256 not in self._held and not await self._writer.read(lambda journal: journal.known([sha256])):
            await asyncio.to_thread(self.files.delete, [sha256])

    async def _remove_strays(self) -> None:
        """Files that were moved in when an earlier life of the server ended, before the journal knew of them."""
        there = await asyncio.to_thread(list, self.files)
        for start in range(0, len(there), 1000):
            part = there[start : start + 1000]
            known = await self._writer.read(lambda journal, part=part: journal.known(part))  # type: ignore[misc]
            await asyncio.to_thread(self.files.delete, set(part) - known)
        await asyncio.to_thread(self._remove_old_checkpoints)

    def _remove_old_checkpoints(self) -> None:
        """Until schema 2 they had a folder of their own; the journal has taken them in."""
        folder = self._folder / "checkpoints"
        if folder.exists():
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()


class HeldBlobs:
    """A blob sink, for one attempt."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._held: list[str] = []

    def scratch_path(self) -> Path:
        """A name nobody has, on the file system of the blobs."""
        return self._storage.scratch_path()

    async def adopt(self, blob: Blob) -> Blob:
        """Takes the finished file at `blob.path` in. Raises OSError."""
        assert blob.path
        await self._storage.hold(blob.sha256, blob.path)
        self._held.append(blob.sha256)
        return replace(blob, path=None)

    def journaled(self, sha256: str) -> None:
        """The journal refers to it now."""
        self._let_go(sha256)

    async def unwanted(self, sha256: str) -> None:
        """The journal could not be told of it."""
        self._let_go(sha256)
        await self._storage.discard(sha256)

    def release(self) -> None:
        """The attempt is over: what the journal doesn't refer to is nobody's."""
        for sha256 in list(self._held):
            self._let_go(sha256)

    def _let_go(self, sha256: str) -> None:
        if sha256 in self._held:  # an attempt that was broken off has let go of everything
            self._held.remove(sha256)
            self._storage.let_go(sha256)
