"""Content-addressed files: a blob is named by the SHA-256 of its bytes and is either whole or not there.

Files only; what counts as a blob of the server, and for how long, is in the journal. Every method but `path` and
`scratch_path` waits for the disk: they belong into a thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from impasto_server import durable


class ChecksumMismatch(ValueError):
    """The bytes that came are not the bytes that were announced."""


class BlobFiles:
    """A folder of blobs. `pin` adds files that live elsewhere and stay as they are (the style gallery)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scratch = folder / "incoming"
        self._pinned: dict[str, Path] = {}

    def prepare(self) -> None:
        """Makes the folder, and removes what a stop cut off."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True, exist_ok=True)

    @property
    def pinned(self) -> Collection[str]:
        """Hashes of the files that live elsewhere."""
        return self._pinned.keys()

    def __iter__(self) -> Iterator[str]:
        """Hashes of the files in the folder, without the pinned ones."""
        return (path.name for path in self._folder.glob("??/*") if path.parent != self._scratch)

    def path(self, sha256: str) -> Path:
        """Where the blob is, if it is there."""
        return self._pinned.get(sha256) or self._folder / sha256[:2] / sha256

    def pin(self, path: Path) -> str:
        """Takes a file of somebody else's in, where it is. Returns its hash."""
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self._pinned[sha256] = path
        return sha256

    def scratch_path(self) -> Path:
        """A name nobody has, in the folder that is emptied at every start."""
        return self._scratch / uuid.uuid4().hex

    def settle(self, path: Path, sha256: str) -> None:
        """Moves a finished file with these bytes in, on disk before this returns. Raises OSError."""
        target = self._folder / sha256[:2] / sha256
        durable.make_folder(target.parent)
        durable.replace(path, target)

    def delete(self, hashes: Collection[str]) -> None:
        """Removes files; no error for one that isn't there. Pinned ones stay."""
        for sha256 in hashes:
            (self._folder / sha256[:2] / sha256).unlink(missing_ok=True)


class IncomingBlob:
    """Bytes on their way in; `remove` is to be called in the end. For a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None

    def remove(self) -> None:
        """Nothing of it stays, unless it was moved away."""
        if self._file:
            with contextlib.suppress(OSError):  # what a full disk didn't take is removed anyway
                self._file.close()
        self.path.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """Appends bytes."""
        if self._file is None:
            self._file = self.path.open("xb")
        self._hash.update(chunk)
        self._file.write(chunk)
        self.size_bytes += len(chunk)

    def finish(self, sha256: str) -> None:
        """All bytes are there and can be read at `path`. Raises ChecksumMismatch if they aren't the announced ones."""
        if self._file:
            self._file.close()
        if self._hash.hexdigest() != sha256:
            raise ChecksumMismatch(f"The bytes received have SHA-256 {self._hash.hexdigest()}, announced was {sha256}.")
