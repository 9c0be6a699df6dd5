"""Images of a server: uploads that are checked before they count, downloads, the gallery."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from impasto.v1 import image_pb2, server_info_pb2, stylizer_pb2
from impasto_server import codec
from impasto_server.gallery import GALLERY
from impasto_server.jobs import DiskFull, ImageNotFound, Storage

from .errors import BadRequest
from .responses import image_format, image_name

CHUNK_BYTES = 256 * 1024


class Images:
    """Blobs seen as images. `max_bytes` bounds a file, `max_pixels` what its header may promise."""

    def __init__(self, storage: Storage, *, max_bytes: int, max_pixels: int) -> None:
        self.max_bytes = max_bytes
        self.max_pixels = max_pixels
        self._storage = storage
        self._blobs = blobs = storage.blobs
        self._facts: dict[str, codec.ImageFacts] = {}
        self._decoding = asyncio.Lock()
        self.gallery_hashes = {style.name: blobs.pin(style.path) for style in GALLERY}

    def describe(self, sha256: str) -> image_pb2.Image:
        """An image as the wire has it."""
        path = self._blobs.path(sha256)
        if sha256 not in self._facts:
            # Our own results may be larger than what we let in.
            self._facts[sha256] = codec.inspect(path, max_pixels=2**62)
        facts = self._facts[sha256]
        return image_pb2.Image(
            name=image_name(sha256),
            size_bytes=path.stat().st_size,
            width_px=facts.width_px,
            height_px=facts.height_px,
            format=image_format(facts.format),
            has_alpha=facts.has_alpha,
        )

    def gallery(self) -> list[server_info_pb2.GalleryStyle]:
        """The styles that come with the server."""
        return [
            server_info_pb2.GalleryStyle(
                name=style.name,
                title=style.title,
                description=style.description,
                image=self.describe(self.gallery_hashes[style.name]),
            )
            for style in GALLERY
        ]

    async def receive(
        self, announcement: stylizer_pb2.ImageAnnouncement, chunks: AsyncIterator[bytes]
    ) -> tuple[image_pb2.Image, bool]:
        """Stores an upload unless it is known; returns it, and whether it was known.

        Raises BadRequest, ChecksumMismatch, ImageError, DiskFull; nothing of the upload stays then.
        """
        sha256, size_bytes = announcement.sha256, announcement.size_bytes
        if sha256 in self._blobs:
            self._blobs.touch(sha256)
            return self.describe(sha256), True
        self._check_size(size_bytes)
        self._storage.check_room(size_bytes)
        try:
            await self._store(announcement, chunks)
        except OSError as error:
            raise DiskFull(f"The server can't keep the image ({error.strerror}): try again later.") from error
        return self.describe(sha256), False

    async def _store(self, announcement: stylizer_pb2.ImageAnnouncement, chunks: AsyncIterator[bytes]) -> None:
        sha256, size_bytes = announcement.sha256, announcement.size_bytes
        with self._blobs.incoming() as blob:
            async for chunk in chunks:
                if len(chunk) > CHUNK_BYTES:
                    raise BadRequest("chunk", f"A chunk has {len(chunk)} bytes; expected at most {CHUNK_BYTES}.")
                if blob.size_bytes + len(chunk) > size_bytes:
                    raise BadRequest("chunk", f"More bytes came than the {size_bytes} that were announced.")
                blob.write(chunk)
            if blob.size_bytes < size_bytes:
                raise BadRequest("chunk", f"Only {blob.size_bytes} of {size_bytes} announced bytes came.")
            blob.finish(sha256)
            # A picture decoded takes four bytes a pixel: one at a time, however many come in at once.
            async with self._decoding:
                self._facts[sha256] = await asyncio.to_thread(self._check_image, blob.path)
            await asyncio.to_thread(blob.commit, sha256)

    async def send(self, sha256: str, offset_bytes: int) -> AsyncIterator[bytes]:
        """The bytes from an offset on. Raises ImageNotFound, BadRequest."""
        if sha256 not in self._blobs:
            raise ImageNotFound("name", f"There is no image {image_name(sha256)} on this server.")
        path = self._blobs.path(sha256)
        size_bytes = path.stat().st_size
        if not 0 <= offset_bytes <= size_bytes:
            raise BadRequest("offset_bytes", f"offset_bytes is {offset_bytes}; expected 0 to {size_bytes}.")
        with path.open("rb") as file:
            file.seek(offset_bytes)
            while chunk := file.read(CHUNK_BYTES):
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
