"""Followers of a job: every event once and in order, the newest of what is present, whatever their pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from impasto_server.engine import Noticed, Previewed, PreviewRequest, PreviewSpec, Progressed
from impasto_server.jobs import Event, Job, JobNotFound, State, StateChanged, Stopping, Watched
from impasto_server.jobs.live_job import LiveJob
from impasto_server.jobs.state import after
from impasto_server.jobs.writer import Writer

from .room import spec
from .scripted_engine import step

SPEC = PreviewSpec()


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[Writer]:
    writer = Writer(tmp_path, lambda: None)
    await writer.open()
    yield writer
    await writer.close()


@pytest.fixture
async def live(writer: Writer) -> LiveJob:
    """A job that runs."""
    event = Event(1, 0.0, 0, StateChanged(State.QUEUED))
    job = after(Job("id", spec(), create_time=0.0), event)
    await writer.write(lambda journal: journal.create(job, event, "", None, job.spec.images))
    found = LiveJob(job, writer)
    found.admitted(event)
    await found.change(StateChanged(State.RUNNING))
    return found


def notice(number: int) -> Noticed:
    return Noticed("TILES_SMALLER", f"It goes on in tiles of {number} px.")


def preview(number: int) -> Previewed:
    return Previewed(SPEC, b"picture", 8, 8, number, 1)


async def test_a_follower_that_sleeps_misses_no_event_and_gets_the_newest_preview(live: LiveJob) -> None:
    items = live.follow(1, SPEC, interval_s=0.0)
    assert isinstance(await anext(items), Event)
    for number in range(1, 6):
        await live.change(notice(number))
        live.previewed(preview(number))
    await live.change(StateChanged(State.SUCCEEDED))
    rest = [item async for item in items]
    assert [item.sequence for item in rest if isinstance(item, Event)] == [3, 4, 5, 6, 7, 8]
    assert [item.preview.step for item in rest if isinstance(item, Watched)] == [5]


async def test_nobody_sees_what_is_not_journaled(live: LiveJob) -> None:
    items = live.follow(2, None, 0.0)
    waiting = asyncio.ensure_future(anext(items))
    decided = live.change(StateChanged(State.CANCELLING))
    assert live.job.state is State.CANCELLING
    assert live.seen.state is State.RUNNING
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done() or live.shown.state is State.CANCELLING
    await decided
    assert live.seen.state is State.CANCELLING
    assert (await waiting).sequence == 3


async def test_previews_that_were_replaced_are_counted(live: LiveJob) -> None:
    items = live.follow(2, SPEC, interval_s=0.0)
    live.request_previews(items, PreviewRequest(frozenset({SPEC}), 0.0))
    live.previewed(preview(1))
    first = await anext(items)
    for number in (2, 3, 4):
        live.previewed(preview(number))
    second = await anext(items)
    assert isinstance(first, Watched) and isinstance(second, Watched)
    assert (first.coalesced, second.coalesced, second.preview.step) == (0, 2, 4)


async def test_progress_is_journaled_once_a_second_and_at_the_end_of_each_scale(live: LiveJob) -> None:
    for number in range(1, 200):
        live.progressed(step(number, ends_scale=number in (80, 81, 199)))
    await live.change(StateChanged(State.SUCCEEDED))
    events = [item async for item in live.follow(2, None, 0.0) if isinstance(item, Event)]
    assert [event.body.step for event in events if isinstance(event.body, Progressed)] == [1, 80, 81, 199]
    assert live.job.progress == step(199, ends_scale=True)


async def test_a_follower_sees_progress_that_is_not_journaled_and_never_an_older_one(live: LiveJob) -> None:
    seen: list[int] = []

    async def follow() -> None:
        async for item in live.follow(2, None, 0.0):
            if isinstance(item, Event) and isinstance(item.body, Progressed):
                seen.append(item.body.step)

    following = asyncio.create_task(follow())
    for number in range(1, 100):
        live.progressed(step(number, ends_scale=number % 10 == 0))
        await asyncio.sleep(0.001)
    await live.change(StateChanged(State.SUCCEEDED))
    await following
    assert seen == sorted(set(seen))
    assert len(seen) > 20


async def test_a_place_in_the_queue_is_told_once(writer: Writer) -> None:
    event = Event(1, 0.0, 0, StateChanged(State.QUEUED, queue_position=30))
    job = after(Job("id", spec(), create_time=0.0), event)
    await writer.write(lambda journal: journal.create(job, event, "", None, job.spec.images))
    live = LiveJob(job, writer)
    live.admitted(event)
    told = []
    for position in (30, 29, 28, 20, 19, 9, 9, 8):
        live.tell_position(position)
        if live._position and isinstance(live._position.body, StateChanged):
            told.append(live._position.body.queue_position)
    assert told == [20, 20, 9, 9, 8]
    items = live.follow(0, None, 0.0)
    assert [(await anext(items)).sequence, (await anext(items)).body] == [1, StateChanged(State.QUEUED, 8)]


async def test_a_follower_waits_for_what_comes(live: LiveJob) -> None:
    waiting = asyncio.create_task(anext(live.follow(2, None, 0.0)))
    await asyncio.sleep(0)
    live.change(notice(1))
    async with asyncio.timeout(20):
        assert (await waiting).sequence == 3


async def test_a_preview_reaches_whoever_wants_it_before_anything_else_happens(live: LiveJob) -> None:
    waiting = asyncio.create_task(anext(live.follow(2, SPEC, 0.0)))
    await asyncio.sleep(0)
    live.previewed(preview(1))
    async with asyncio.timeout(20):
        assert isinstance(await waiting, Watched)


async def test_a_preview_that_is_not_due_comes_when_it_is_and_keeps_no_event_waiting(live: LiveJob) -> None:
    items = live.follow(2, SPEC, interval_s=0.3)
    live.previewed(preview(1))
    assert isinstance(await anext(items), Watched)
    began = time.monotonic()
    live.previewed(preview(2))
    waiting = asyncio.create_task(anext(items))
    await asyncio.sleep(0.02)
    await live.change(notice(1))
    assert isinstance(await waiting, Event)
    assert isinstance(await anext(items), Watched)
    assert 0.25 < time.monotonic() - began < 5


async def test_a_preview_wakes_nobody_who_wants_none(live: LiveJob, monkeypatch: pytest.MonkeyPatch) -> None:
    woken = 0
    original = live._events_after

    async def counted(position: int) -> Sequence[Event]:
        nonlocal woken
        woken += 1
        return await original(position)

    monkeypatch.setattr(live, "_events_after", counted)
    waiting = asyncio.create_task(anext(live.follow(2, None, 0.0)))
    for number in range(20):
        await asyncio.sleep(0)
        live.previewed(preview(number))
    await asyncio.sleep(0)
    assert woken == 1
    waiting.cancel()


async def test_a_follower_that_comes_late_reads_what_memory_has_let_go(live: LiveJob) -> None:
    for number in range(1, 1001):
        live.change(notice(number))
    await live.change(StateChanged(State.SUCCEEDED))
    sequences = [item.sequence async for item in live.follow(0, None, 0.0) if isinstance(item, Event)]
    assert sequences == list(range(1, 1004))


async def test_a_follower_of_a_server_that_goes_is_told_after_what_there_was(live: LiveJob) -> None:
    live.close()
    items = live.follow(1, None, 0.0)
    assert (await anext(items)).sequence == 2
    with pytest.raises(Stopping):
        await anext(items)


async def test_a_slow_follower_of_a_job_that_is_deleted_is_told(live: LiveJob, writer: Writer) -> None:
    items = live.follow(0, SPEC, 1000.0)
    assert (await anext(items)).sequence == 1
    for number in range(1, 1001):
        live.change(notice(number))
    await live.change(StateChanged(State.SUCCEEDED))
    await writer.write(lambda journal: journal.delete("id"))
    async with asyncio.timeout(20):
        with pytest.raises(JobNotFound):
            while True:
                await anext(items)


async def test_all_followers_together_decide_what_is_previewed(live: LiveJob) -> None:
    large = PreviewSpec(max_size_px=1024)
    live.request_previews("a", PreviewRequest(frozenset({SPEC}), 1.0))
    live.request_previews("b", PreviewRequest(frozenset({large}), 0.1))
    assert live.previews == PreviewRequest(frozenset({SPEC, large}), 0.1)
    live.request_previews("b", None)
    assert live.previews == PreviewRequest(frozenset({SPEC}), 1.0)
    live.request_previews("a", None)
    assert not live.previews.specs


async def test_a_clock_that_is_set_back_sets_no_history_back(live: LiveJob, monkeypatch: pytest.MonkeyPatch) -> None:
    for now in (5e9, 4e9, 0.0):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        await live.change(notice(1))
    times = [item.time async for item in _first(live, 4)]
    assert times == sorted(times)


async def _first(live: LiveJob, count: int) -> AsyncIterator[Event]:
    items = live.follow(1, None, 0.0)
    for _ in range(count):
        item = await anext(items)
        assert isinstance(item, Event)
        yield item
