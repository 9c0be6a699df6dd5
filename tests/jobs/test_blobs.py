"""A blob is whole or not there, and there for as long as somebody needs it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from impasto_server.engine import Blob
from impasto_server.jobs import ChecksumMismatch, DiskFull, IncomingBlob, Jobs, Limits
from impasto_server.jobs.blobs import BlobFiles
from impasto_server.jobs.journal import Journal

from .room import PHOTO_SHA256, quiet, room, spec, until, upload
from .scripted_engine import ScriptedEngine

DATA = b"some bytes of a picture"
SHA256 = hashlib.sha256(DATA).hexdigest()


def files(folder: Path) -> BlobFiles:
    found = BlobFiles(folder)
    found.prepare()
    return found


def on_disk(folder: Path) -> set[str]:
    return {path.name for path in (folder / "blobs").glob("??/*")}


def test_what_is_settled_is_there_in_the_next_life(tmp_path: Path) -> None:
    store = files(tmp_path)
    path = store.scratch_path()
    path.write_bytes(DATA)
    store.settle(path, SHA256)
    again = files(tmp_path)
    assert again.path(SHA256).read_bytes() == DATA
    assert list(again) == [SHA256]
    assert not path.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps folder entries itself")
def test_a_folder_that_a_blob_needs_is_on_disk_before_the_blob_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, synced, sync = files(tmp_path), set(), os.fsync

    def noted(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    path = store.scratch_path()
    path.write_bytes(DATA)
    store.settle(path, SHA256)
    assert {tmp_path.stat().st_ino, (tmp_path / SHA256[:2]).stat().st_ino} <= synced


def test_what_is_not_settled_is_gone(tmp_path: Path) -> None:
    blob = IncomingBlob(files(tmp_path).scratch_path())
    blob.write(DATA)
    blob.remove()
    assert not blob.path.exists()


def test_other_bytes_than_announced_are_not_taken(tmp_path: Path) -> None:
    blob = IncomingBlob(files(tmp_path).scratch_path())
    blob.write(DATA + b"!")
    with pytest.raises(ChecksumMismatch):
        blob.finish(SHA256)


def test_scratch_files_of_an_earlier_life_are_swept(tmp_path: Path) -> None:
    left = files(tmp_path).scratch_path()
    left.write_bytes(b"half a result")
    files(tmp_path)
    assert not left.exists()


def test_pinned_files_stay_where_they_are(tmp_path: Path) -> None:
    elsewhere = tmp_path / "style.jpg"
    elsewhere.write_bytes(DATA)
    store = files(tmp_path / "blobs")
    assert store.pin(elsewhere) == SHA256
    store.delete([SHA256])
    assert store.path(SHA256) == elsewhere
    assert elsewhere.exists()
    assert list(store) == []


async def finished(jobs: Jobs, engine: ScriptedEngine, data: bytes = b"a picture") -> str:
    """A job that left a result and a checkpoint."""
    job = await jobs.create(spec())
    link = await engine.link()
    link.make_step()
    link.checkpoint(data)
    link.finish(partial=False, data=data)
    await until(jobs, job.id, "succeeded")
    return job.id


async def test_a_deleted_job_takes_with_it_what_only_it_refers_to(tmp_path: Path) -> None:
    engine = ScriptedEngine("cpu")
    async with room(engine, tmp_path) as jobs:
        first, second = await finished(jobs, engine), await finished(jobs, engine)
        both = on_disk(tmp_path)
        assert len(both) == 4  # the photo, one result with its thumbnail and one checkpoint between them
        await jobs.delete(first)
        await quiet(jobs)
        assert on_disk(tmp_path) == both
        await jobs.delete(second)
        async with asyncio.timeout(20):
            while on_disk(tmp_path) != {PHOTO_SHA256}:  # whoever sent it may ask for another job  # noqa: ASYNC110
                await asyncio.sleep(0.005)


async def test_a_picture_that_is_promised_stays_although_its_job_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("impasto_server.jobs.storage.UPLOAD_KEPT_S", -1.0)
    engine = ScriptedEngine("cpu")
    async with Jobs(engine, tmp_path) as jobs:
        await upload(jobs)
        job_id = await finished(jobs, engine)
        monkeypatch.setattr("impasto_server.jobs.storage.UPLOAD_KEPT_S", 3600.0)
        assert await jobs.storage.renew(PHOTO_SHA256)  # `already_known`
        await jobs.delete(job_id)
        await quiet(jobs)
        assert await jobs.create(spec())


async def test_a_result_that_is_on_its_way_is_not_swept_with_its_twin(tmp_path: Path) -> None:
    engine = ScriptedEngine("cpu")
    async with room(engine, tmp_path) as jobs:
        first = await finished(jobs, engine)
        second = await jobs.create(spec())
        link = await engine.link()
        link.make_step()
        written = link.written(b"a picture")
        adopted = await link.sink.adopt(written)
        await jobs.delete(first)
        await quiet(jobs)
        assert jobs.storage.path(adopted.sha256).exists()
        link.finish(partial=False)
        ended = await until(jobs, second.id, "succeeded")
        await quiet(jobs)
        assert ended.result
        assert jobs.storage.path(ended.result.sha256).read_bytes() == b"a picture"


async def test_a_checkpoint_goes_when_the_next_one_is_kept(tmp_path: Path) -> None:
    engine = ScriptedEngine("cpu")
    async with room(engine, tmp_path) as jobs:
        await jobs.create(spec())
        link = await engine.link()
        for _ in range(20):
            link.make_step()
            link.checkpoint()
            await quiet(jobs)
        latest = hashlib.sha256(b"checkpoint 20 ").hexdigest()
        async with asyncio.timeout(20):
            while on_disk(tmp_path) != {PHOTO_SHA256, latest}:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


async def test_files_that_the_journal_does_not_know_go_at_the_start(tmp_path: Path) -> None:
    async with room(ScriptedEngine(), tmp_path) as jobs:
        path = jobs.storage.scratch_path()
        path.write_bytes(DATA)
        await jobs.storage.hold(SHA256, path)  # and then the server is killed
    async with Jobs(ScriptedEngine(), tmp_path):
        assert on_disk(tmp_path) == {PHOTO_SHA256}


async def test_sweeps_and_uploads_of_the_same_bytes_do_not_meet(tmp_path: Path) -> None:
    async with room(ScriptedEngine(), tmp_path, Limits()) as jobs:

        async def send(seconds: float) -> None:
            incoming = IncomingBlob(jobs.storage.scratch_path())
            incoming.write(DATA)
            incoming.finish(SHA256)
            async with asyncio.timeout(20):
                await jobs.storage.hold(SHA256, incoming.path)
                size = Blob(SHA256, len(DATA)).size_bytes
                await jobs._writer.write(lambda journal: journal._add_blob(SHA256, size, seconds, None))
                jobs.storage.let_go(SHA256)

        for _ in range(30):
            await send(0.0)
            await asyncio.gather(jobs.storage.sweep(), send(2e10), jobs.storage.sweep())
            assert jobs.storage.path(SHA256).exists()
            await jobs._writer.write(lambda journal: journal._database.execute("UPDATE blobs SET promised_until = 0"))


async def test_an_upload_that_the_journal_refuses_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with room(ScriptedEngine("cpu"), tmp_path) as jobs:
        before = on_disk(tmp_path)

        def full(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "promise", full)
            with pytest.raises(DiskFull):
                await upload(jobs, DATA)
            # What was there already stays, whoever sends it again.
            with pytest.raises(DiskFull):
                await upload(jobs)
        assert on_disk(tmp_path) == before
