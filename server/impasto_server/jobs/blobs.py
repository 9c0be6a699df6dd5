"""Content-addressed files: a blob is named by the SHA-256 of its bytes and is either whole or not there."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from impasto_server import durable


class ChecksumMismatch(ValueError):
    """The bytes that came are not the bytes that were announced."""


class BlobStore:
    """A folder of blobs. `pin` adds files that live elsewhere and stay as they are (the style gallery)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scratch = folder / "incoming"
        self._pinned: dict[str, Path] = {}
        shutil.rmtree(self._scratch, ignore_errors=True)  # uploads that a stop cut off
        self._scratch.mkdir(parents=True)

    def __contains__(self, sha256: object) -> bool:
        return isinstance(sha256, str) and self.path(sha256).exists()

    def __iter__(self) -> Iterator[str]:
        """Hashes of the blobs in the folder, without the pinned ones."""
        return (path.name for path in self._folder.glob("??/*") if path.parent != self._scratch)

    def path(self, sha256: str) -> Path:
        """Where the blob is, if it is there."""
        return self._pinned.get(sha256) or self._folder / sha256[:2] / sha256

    def used_bytes(self) -> int:
        """What the folder's blobs take, without the pinned ones and those on their way in."""
        return sum(self.path(sha256).stat().st_size for sha256 in self)

    def touch(self, sha256: str) -> None:
        """Somebody has just sent it again: it counts as new."""
        if sha256 not in self._pinned:
            os.utime(self.path(sha256))

    def pin(self, path: Path) -> str:
        """Takes a file of somebody else's in, where it is. Returns its hash."""
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self._pinned[sha256] = path
        return sha256

    def scratch_path(self) -> Path:
        """A name nobody has, in the folder that is emptied at every start."""
        return self._scratch / uuid.uuid4().hex

    def incoming(self) -> IncomingBlob:
        """A blob about to be written, as a context manager; what isn't committed is removed."""
        return IncomingBlob(self, self.scratch_path())

    def adopt(self, path: Path) -> str:
        """Moves a finished scratch file in. Returns its hash."""
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self._settle(path, sha256)
        return sha256

    def delete(self, sha256: str) -> None:
        """Forgets a blob; no error if it isn't there. Pinned ones stay."""
        if sha256 not in self._pinned:
            self.path(sha256).unlink(missing_ok=True)

    def _settle(self, path: Path, sha256: str) -> None:
        target = self._folder / sha256[:2] / sha256
        target.parent.mkdir(exist_ok=True)
        durable.replace(path, target)


class IncomingBlob:
    """Bytes on their way in."""

    def __init__(self, store: BlobStore, path: Path) -> None:
        self._store = store
        self._hash = hashlib.sha256()
        self._file = path.open("xb")
        self.path = path
        self.size_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """Appends bytes."""
        self._hash.update(chunk)
        self._file.write(chunk)
        self.size_bytes += len(chunk)

    def finish(self, sha256: str) -> None:
        """All bytes are there and can be read at `path`. Raises ChecksumMismatch if they aren't the announced ones."""
        self._file.flush()
        if self._hash.hexdigest() != sha256:
            raise ChecksumMismatch(f"The bytes received have SHA-256 {self._hash.hexdigest()}, announced was {sha256}.")

    def commit(self, sha256: str) -> None:
        """Makes the finished bytes a blob, on disk before this returns."""
        self._store._settle(self.path, sha256)
