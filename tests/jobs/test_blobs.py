"""A blob is whole or not there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from impasto_server.jobs import BlobStore, ChecksumMismatch

DATA = b"some bytes of a picture"
SHA256 = hashlib.sha256(DATA).hexdigest()


def put(store: BlobStore) -> None:
    with store.incoming() as blob:
        blob.write(DATA[:5])
        blob.write(DATA[5:])
        blob.finish(SHA256)
        blob.commit(SHA256)


def test_what_is_committed_is_there_and_survives_a_restart(tmp_path: Path) -> None:
    put(BlobStore(tmp_path))
    again = BlobStore(tmp_path)
    assert SHA256 in again
    assert again.path(SHA256).read_bytes() == DATA
    assert list(again) == [SHA256]


def test_what_is_not_committed_is_gone(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    with store.incoming() as blob:
        blob.write(DATA)
        path = blob.path
    assert SHA256 not in store
    assert not path.exists()


def test_other_bytes_than_announced_are_not_taken(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    with pytest.raises(ChecksumMismatch), store.incoming() as blob:
        blob.write(DATA + b"!")
        blob.finish(SHA256)
    assert list(store) == []


def test_scratch_files_of_an_earlier_life_are_swept(tmp_path: Path) -> None:
    left = BlobStore(tmp_path).scratch_path()
    left.write_bytes(b"half a result")
    BlobStore(tmp_path)
    assert not left.exists()


def test_a_result_is_adopted_under_its_own_hash(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    scratch = store.scratch_path()
    scratch.write_bytes(DATA)
    assert store.adopt(scratch) == SHA256
    assert SHA256 in store
    assert not scratch.exists()


def test_pinned_files_stay_where_they_are(tmp_path: Path) -> None:
    elsewhere = tmp_path / "style.jpg"
    elsewhere.write_bytes(DATA)
    store = BlobStore(tmp_path / "blobs")
    assert store.pin(elsewhere) == SHA256
    store.delete(SHA256)
    assert store.path(SHA256) == elsewhere
    assert elsewhere.exists()
    assert list(store) == []
