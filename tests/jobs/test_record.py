"""Watchers of a record: every event once and in order, the newest preview, whatever their pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from impasto_server.engine import Losses, PreviewDemand, Previewed, PreviewSpec, Progressed
from impasto_server.jobs import Event, Job, JobSpec, Journal, State, StateChanged, Stopping, StyleSource, Watched
from impasto_server.jobs.record import JobRecord

SPEC = PreviewSpec()


@pytest.fixture
def record(tmp_path: Path) -> Iterator[JobRecord]:
    journal = Journal(tmp_path / "journal.sqlite3")
    found = JobRecord(Job("id", JobSpec("c" * 64, (StyleSource("s" * 64),), "draft"), create_time=0.0), journal)
    found.create(StateChanged(State.QUEUED), "")
    found.append(StateChanged(State.RUNNING))
    yield found
    journal.close()


def step(number: int) -> Progressed:
    return Progressed(1, 1, number, 99, 64, 64, Losses(1, 1, 1, 3), 1.0, 1.0)


def preview(number: int) -> Previewed:
    return Previewed(SPEC, b"picture", 8, 8, number, 1)


async def test_a_watcher_that_sleeps_misses_no_event_and_gets_the_newest_preview(record: JobRecord) -> None:
    items = record.follow(1, SPEC, interval_s=0.0)
    assert isinstance(await anext(items), Event)
    for number in range(1, 6):
        record.append(step(number))
        record.look(preview(number))
    record.append(StateChanged(State.SUCCEEDED))
    rest = [item async for item in items]
    assert [item.sequence for item in rest if isinstance(item, Event)] == [3, 4, 5, 6, 7, 8]
    looks = [item for item in rest if isinstance(item, Watched)]
    assert [(look.preview.step) for look in looks] == [5]


async def test_previews_that_were_replaced_are_counted(record: JobRecord) -> None:
    items = record.follow(2, SPEC, interval_s=0.0)
    record.wish(items, PreviewDemand(frozenset({SPEC}), 0.0))
    record.look(preview(1))
    first = await anext(items)
    for number in (2, 3, 4):
        record.look(preview(number))
    second = await anext(items)
    assert isinstance(first, Watched) and isinstance(second, Watched)
    assert (first.coalesced, second.coalesced, second.preview.step) == (0, 2, 4)


async def test_a_watcher_waits_for_what_comes(record: JobRecord) -> None:
    waiting = asyncio.create_task(anext(record.follow(2, None, 0.0)))
    await asyncio.sleep(0)
    record.append(step(1))
    async with asyncio.timeout(1):
        assert (await waiting).sequence == 3


async def test_a_preview_reaches_whoever_wants_it_before_anything_else_happens(record: JobRecord) -> None:
    waiting = asyncio.create_task(anext(record.follow(2, SPEC, 0.0)))
    await asyncio.sleep(0)
    record.look(preview(1))
    async with asyncio.timeout(1):
        assert isinstance(await waiting, Watched)


async def test_a_preview_that_is_not_due_comes_when_it_is_and_keeps_no_event_waiting(record: JobRecord) -> None:
    items = record.follow(2, SPEC, interval_s=0.3)
    record.look(preview(1))
    assert isinstance(await anext(items), Watched)
    began = time.monotonic()
    record.look(preview(2))
    waiting = asyncio.create_task(anext(items))
    await asyncio.sleep(0.05)
    record.append(step(1))
    async with asyncio.timeout(0.1):
        assert isinstance(await waiting, Event)
    assert isinstance(await anext(items), Watched)
    assert 0.25 < time.monotonic() - began < 2


async def test_a_preview_wakes_nobody_who_wants_none(record: JobRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    original = record._events_after

    def counted(position: int) -> Sequence[Event]:
        nonlocal looked
        looked += 1
        return original(position)

    monkeypatch.setattr(record, "_events_after", counted)
    waiting = asyncio.create_task(anext(record.follow(2, None, 0.0)))
    for number in range(20):
        await asyncio.sleep(0)
        record.look(preview(number))
    await asyncio.sleep(0)
    assert looked == 1
    waiting.cancel()


async def test_a_watcher_that_comes_late_reads_what_memory_has_let_go(record: JobRecord) -> None:
    for number in range(1, 1001):
        record.append(step(number))
    record.append(StateChanged(State.SUCCEEDED))
    sequences = [item.sequence async for item in record.follow(0, None, 0.0) if isinstance(item, Event)]
    assert sequences == list(range(1, 1004))


async def test_a_watcher_of_a_server_that_goes_is_told_after_what_there_was(record: JobRecord) -> None:
    record.close()
    items = record.follow(1, None, 0.0)
    assert (await anext(items)).sequence == 2
    with pytest.raises(Stopping):
        await anext(items)


async def test_the_demand_is_what_all_watchers_want_together(record: JobRecord) -> None:
    large = PreviewSpec(max_size_px=1024)
    record.wish("a", PreviewDemand(frozenset({SPEC}), 1.0))
    record.wish("b", PreviewDemand(frozenset({large}), 0.1))
    assert record.demand == PreviewDemand(frozenset({SPEC, large}), 0.1)
    record.wish("b", None)
    assert record.demand == PreviewDemand(frozenset({SPEC}), 1.0)
    record.wish("a", None)
    assert not record.demand.specs
