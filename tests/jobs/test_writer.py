"""The journal's threads: order, groups, and what a full disk does to those who ask and to what has happened."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from impasto_server.jobs import DiskFull, JobNotFound
from impasto_server.jobs.journal import Journal, JournalError
from impasto_server.jobs.writer import Writer


class Disk:
    """Full or not, as journals find it."""

    def __init__(self) -> None:
        self.full = False
        self.reserve = 0
        """So many writes find room once the reserve is released."""
        self.left = 0
        self.commits = 0

    def release_reserve(self) -> None:
        self.left, self.reserve = self.left + self.reserve, 0

    def take(self) -> None:
        self.commits += 1
        if self.full:
            if not self.left:
                raise sqlite3.OperationalError("database or disk is full")
            self.left -= 1


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    original = Journal.transaction

    def transaction(journal: Journal):  # type: ignore[no-untyped-def]
        disk.take()
        return original(journal)

    monkeypatch.setattr(Journal, "transaction", transaction)
    monkeypatch.setattr("impasto_server.jobs.writer._RETRY_S", 0.01)
    return disk


@pytest.fixture
async def writer(tmp_path: Path, disk: Disk) -> AsyncIterator[Writer]:
    writer = Writer(tmp_path, disk.release_reserve)
    await writer.open()
    yield writer
    await writer.close()


def promise(name: str):  # type: ignore[no-untyped-def]
    return lambda journal: journal._add_blob(name, 1, 0.0, None)


async def names(writer: Writer) -> list[str]:
    def read(journal: Journal) -> list[str]:
        return [name for (name,) in journal._database.execute("SELECT sha256 FROM blobs ORDER BY sha256")]

    return await writer.read(read)


async def test_what_waits_for_the_disk_shares_its_syncs(writer: Writer, disk: Disk) -> None:
    await asyncio.gather(*(writer.write(promise(f"{number:03}")) for number in range(200)))
    assert len(await names(writer)) == 200
    assert disk.commits < 100


async def test_everybody_is_told_in_the_order_of_asking(writer: Writer) -> None:
    told: list[int] = []
    waiting = [writer.write(lambda _: None, lambda _, number=number: told.append(number)) for number in range(50)]
    await asyncio.gather(*waiting)
    assert told == list(range(50))


async def test_a_refusal_takes_only_its_own_write_back(writer: Writer) -> None:
    def refused(journal: Journal) -> None:
        promise("half")(journal)
        journal.job("nobody's")

    waiting = [writer.write(promise("a")), writer.try_to_write(refused), writer.write(promise("b"))]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[1], JobNotFound)
    assert await names(writer) == ["a", "b"]


async def test_what_follows_from_a_write_follows_although_nobody_waits(writer: Writer) -> None:
    followed = asyncio.Event()
    waiting = asyncio.ensure_future(writer.try_to_write(promise("a"), lambda _: followed.set()))
    waiting.cancel()
    async with asyncio.timeout(20):
        await followed.wait()


async def test_a_full_disk_refuses_those_who_ask_and_keeps_what_has_happened(writer: Writer, disk: Disk) -> None:
    disk.full = True
    happened = [writer.write(promise(name)) for name in "bca"]
    with pytest.raises(DiskFull, match="disk is full"):
        await writer.try_to_write(promise("asked"))
    happened.append(writer.write(promise("d")))
    await asyncio.sleep(0.05)
    assert not any(one.done() for one in happened)
    assert await names(writer) == []
    disk.full = False
    await asyncio.gather(*happened)
    assert await names(writer) == ["a", "b", "c", "d"]
    await writer.try_to_write(promise("asked"))


async def test_the_reserve_is_given_up_before_anything_is_refused(writer: Writer, disk: Disk) -> None:
    disk.full, disk.reserve = True, 3
    await writer.try_to_write(promise("a"))
    await writer.write(promise("b"))


async def test_a_write_that_makes_room_is_made_although_others_wait(writer: Writer, disk: Disk) -> None:
    disk.full = True
    order: list[str] = []
    first = writer.write(promise("a"), lambda _: order.append("first"))
    second = writer.write(promise("b"), lambda _: order.append("second"))
    with pytest.raises(DiskFull):
        await writer.try_to_write(promise("c"))
    disk.left = 1
    async with asyncio.timeout(20):
        while not order:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert order == ["first"]
    assert not second.done()
    disk.full = False
    await asyncio.gather(first, second)


async def test_a_server_that_stops_on_a_full_disk_does_not_wait_for_room(tmp_path: Path, disk: Disk) -> None:
    writer = Writer(tmp_path, disk.release_reserve)
    await writer.open()
    disk.full = True
    happened = writer.write(promise("a"))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(10):
        await writer.close()
    assert not happened.done()


async def test_a_journal_that_breaks_is_told(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Journal) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    writer.write(broken)
    async with asyncio.timeout(20):
        with pytest.raises(Exception, match="malformed"):
            await writer.broken()


async def test_a_write_that_fails_for_a_reason_of_ours_is_told_and_not_waited_for_for_ever(writer: Writer) -> None:
    def defect(_: Journal) -> None:
        raise ValueError("a row that nobody can read")

    writer.write(defect)
    async with asyncio.timeout(20):
        with pytest.raises(JournalError, match="nobody can read"):
            await writer.broken()
