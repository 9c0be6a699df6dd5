"""Images of a server: uploads that are checked before they count, downloads, the gallery."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from impasto.v1 import image_pb2, server_info_pb2, stylizer_pb2
from impasto_server import codec
from impasto_server.gallery import GALLERY
from impasto_server.jobs import DiskFull, ImageNotFound, IncomingBlob, Storage

from .errors import BadRequest
from .outgoing import image, image_name

CHUNK_BYTES = 256 * 1024
_OURS = 2**62
"""Pixels that a picture of the server's own may have, its gallery's or a result: no bound for uploads bounds these."""


class Images:
    """Blobs seen as images. `max_bytes` bounds a file, `max_pixels` what its header may promise."""

    def __init__(self, storage: Storage, *, max_bytes: int, max_pixels: int) -> None:
        self.max_bytes = max_bytes
        self.max_pixels = max_pixels
        self._storage = storage
        self._decoding = asyncio.Lock()
        self._pinned: dict[str, image_pb2.Image] = {}
        self.gallery_hashes: dict[str, str] = {}
        self.gallery: list[server_info_pb2.GalleryStyle] = []
        """The styles that come with the server."""
        for style in GALLERY:
            sha256 = self.gallery_hashes[style.name] = storage.files.pin(style.path)
            facts = codec.inspect(style.path, max_pixels=_OURS)
            self._pinned[sha256] = image(sha256, style.path.stat().st_size, facts)
            self.gallery.append(
                server_info_pb2.GalleryStyle(
                    name=style.name, title=style.title, description=style.description, image=self._pinned[sha256]
                )
            )

    async def describe(self, sha256: str) -> image_pb2.Image:
        """An image as the wire has it. Raises ImageNotFound."""
        if (found := await self._find(sha256)) is None:
            raise ImageNotFound("name", f"There is no image {image_name(sha256)} on this server.")
        return found

    async def receive(
        self, announcement: stylizer_pb2.ImageAnnouncement, chunks: AsyncIterator[bytes]
    ) -> tuple[image_pb2.Image, bool]:
        """Stores an upload unless it is known; returns it, and whether it was known.

        Raises BadRequest, ChecksumMismatch, ImageError, DiskFull; nothing of the upload stays then.
        """
        sha256, size_bytes = announcement.sha256, announcement.size_bytes
        if (found := await self._find(sha256)) and (sha256 in self._pinned or await self._storage.renew(sha256)):
            return found, True
        self._check_size(size_bytes)
        await self._storage.check_room(size_bytes)
        try:
            facts = await self._store(announcement, chunks)
        except OSError as error:
            raise DiskFull(f"The server can't keep the image ({error.strerror}): try again later.") from error
        return image(sha256, size_bytes, facts), False

    async def _find(self, sha256: str) -> image_pb2.Image | None:
        if pinned := self._pinned.get(sha256):
            return pinned
        if (found := await self._storage.facts(sha256)) is None:
            return None
        size_bytes, facts = found
        if facts is None:  # blobs of before facts were kept have none, and neither have checkpoints
            try:
                facts = await asyncio.to_thread(codec.inspect, self._storage.path(sha256), max_pixels=_OURS)
            except codec.ImageError:
                return None
        return image(sha256, size_bytes, facts)

    async def _store(
        self, announcement: stylizer_pb2.ImageAnnouncement, chunks: AsyncIterator[bytes]
    ) -> codec.ImageFacts:
        sha256, size_bytes = announcement.sha256, announcement.size_bytes
        async with _removed_at_the_end(IncomingBlob(self._storage.scratch_path())) as blob:
            async for chunk in chunks:
                if len(chunk) > CHUNK_BYTES:
                    raise BadRequest("chunk", f"A chunk has {len(chunk)} bytes; expected at most {CHUNK_BYTES}.")
                if blob.size_bytes + len(chunk) > size_bytes:
                    raise BadRequest("chunk", f"More bytes came than the {size_bytes} that were announced.")
                await asyncio.to_thread(blob.write, chunk)
            if blob.size_bytes < size_bytes:
                raise BadRequest("chunk", f"Only {blob.size_bytes} of {size_bytes} announced bytes came.")
            await asyncio.to_thread(blob.finish, sha256)
            # A picture decoded takes four bytes a pixel: one at a time, however many come in at once.
            async with self._decoding:
                facts = await _in_daemon_thread(functools.partial(self._check_image, blob.path))
            await self._storage.take_in(blob, sha256, facts)
        return facts

    async def send(self, sha256: str, offset_bytes: int) -> AsyncIterator[bytes]:
        """The bytes from an offset on. Raises ImageNotFound, BadRequest."""
        path = self._storage.path(sha256)
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except FileNotFoundError:
            raise ImageNotFound("name", f"There is no image {image_name(sha256)} on this server.") from None
        async with _closed_at_the_end(file):
            size_bytes = await asyncio.to_thread(file.seek, 0, os.SEEK_END)
            if not 0 <= offset_bytes <= size_bytes:
                raise BadRequest("offset_bytes", f"offset_bytes is {offset_bytes}; expected 0 to {size_bytes}.")
            await asyncio.to_thread(file.seek, offset_bytes)
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes < 1:
            raise codec.ImageError("IMAGE_EMPTY", "The file is empty (0 bytes): it is no image.")
        if size_bytes > self.max_bytes:
            raise codec.ImageError(
                "IMAGE_TOO_LARGE",
                f"The file has {size_bytes / 2**20:.1f} MiB; this server takes up to {self.max_bytes / 2**20:.0f} MiB.",
            )

    def _check_image(self, path: Path) -> codec.ImageFacts:
        facts = codec.inspect(path, max_pixels=self.max_pixels)
        codec.verify(path)
        return facts


async def _in_daemon_thread(look: Callable[[], codec.ImageFacts]) -> codec.ImageFacts:
    """For what may take long: the pool's threads are waited for when the server stops, this one isn't."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[codec.ImageFacts] = loop.create_future()

    def tell(seen: codec.ImageFacts | Exception) -> None:
        if done.done():
            return
        if isinstance(seen, Exception):
            done.set_exception(seen)
        else:
            done.set_result(seen)

    def run() -> None:
        seen: codec.ImageFacts | Exception
        try:
            seen = look()
        except Exception as error:
            seen = error
        with contextlib.suppress(RuntimeError):  # the loop has gone
            loop.call_soon_threadsafe(tell, seen)

    threading.Thread(target=run, name="looking at an upload", daemon=True).start()
    return await done


@asynccontextmanager
async def _removed_at_the_end(blob: IncomingBlob) -> AsyncIterator[IncomingBlob]:
    try:
        yield blob
    finally:
        await asyncio.shield(asyncio.to_thread(blob.remove))


@asynccontextmanager
async def _closed_at_the_end(file: BinaryIO) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await asyncio.shield(asyncio.to_thread(file.close))
