"""Images on their way: an upload as messages, a download from messages. No I/O."""

import hashlib
from collections.abc import Iterator

from impasto._events import StoredImage, read_image
from impasto._exceptions import ImageError
from impasto._images import Upload
from impasto.v1 import stylizer_pb2

CHUNK_BYTES = 256 * 1024


def announcement(upload: Upload) -> stylizer_pb2.UploadImageRequest:
    """The first message: if the server knows the content, its answer comes before anything is sent."""
    return stylizer_pb2.UploadImageRequest(
        announcement=stylizer_pb2.ImageAnnouncement(sha256=upload.sha256, size_bytes=len(upload.data))
    )


def chunks(upload: Upload) -> Iterator[stylizer_pb2.UploadImageRequest]:
    """The messages after the first."""
    view = memoryview(upload.data)
    for start in range(0, len(view), CHUNK_BYTES):
        yield stylizer_pb2.UploadImageRequest(chunk=bytes(view[start : start + CHUNK_BYTES]))


def messages(upload: Upload) -> Iterator[stylizer_pb2.UploadImageRequest]:
    """All messages of an upload."""
    yield announcement(upload)
    yield from chunks(upload)


class Download:
    """An image as far as it has arrived; a call that breaks goes on where it stood."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stored: StoredImage | None = None
        self._data = bytearray()

    def request(self) -> stylizer_pb2.DownloadImageRequest:
        """What the next call asks for."""
        return stylizer_pb2.DownloadImageRequest(name=self.name, offset_bytes=len(self._data))

    def received(self, response: stylizer_pb2.DownloadImageResponse) -> None:
        """Takes in one message."""
        if response.WhichOneof("part") == "image":
            self.stored = read_image(response.image)
        else:
            self._data += response.chunk

    def finish(self) -> bytes:
        """The whole image. Raises ImageError if it isn't what its name promises."""
        digest = hashlib.sha256(self._data).hexdigest()
        if digest != self.name.removeprefix("images/"):
            raise ImageError(
                f"{self.name} arrived damaged ({len(self._data)} bytes, SHA-256 {digest}). Fetch it again.",
                reason="CHECKSUM_MISMATCH",
            )
        return bytes(self._data)
