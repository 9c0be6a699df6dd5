"""What becomes of an engine's reports and of its workers' deaths, with an engine that follows a script."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from impasto_server.engine import LostReason, Noticed, Progressed, ResultFormat, Steering, Task
from impasto_server.jobs import Event, Jobs, JobSpec, Result, State, StateChanged, attendance
from impasto_server.jobs.journal import Journal

from .room import quiet, room, spec, until
from .scripted_engine import ScriptedEngine, ScriptedLink, step

Scene = Callable[[ScriptedLink], None]


def killed(link: ScriptedLink) -> None:
    link.lose("out_of_memory", "The worker on here was killed")


def crashed(link: ScriptedLink) -> None:
    link.lose("crashed", "The worker on here crashed (SIGSEGV)")


def killed_after_a_step(link: ScriptedLink) -> None:
    link.make_step()
    link.checkpoint()
    killed(link)


def finished(link: ScriptedLink) -> None:
    link.make_step(9)
    link.finish(partial=False)


@pytest.fixture(autouse=True)
def short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendance, "FIRST_REST_S", 0.01)


@asynccontextmanager
async def painted(
    folder: Path, *scenes: Scene, told: JobSpec | None = None
) -> AsyncIterator[tuple[list[Task], list[Event]]]:
    """A job that a worker brought to its end by playing a scene an attempt; its tasks and events."""
    engine = ScriptedEngine("cpu")
    async with room(engine, folder) as jobs:
        job = await jobs.create(told or spec())
        for scene in scenes:
            link = await engine.link()
            await until(jobs, job.id, "running")
            scene(link)
            await quiet(jobs)
        await until(jobs, job.id, "succeeded", "failed", "cancelled")
        tasks = [attempt.task for attempt, _link in engine.attempts if isinstance(attempt.task, Task)]
        yield tasks, [item async for item in jobs.watch(job.id) if isinstance(item, Event)]


def notices(events: Sequence[Event]) -> list[Noticed]:
    return [event.body for event in events if isinstance(event.body, Noticed)]


def states(events: Sequence[Event]) -> list[str]:
    return [event.body.state.value for event in events if isinstance(event.body, StateChanged)]


async def test_a_notice_of_the_engine_is_an_event_like_any_other(tmp_path: Path) -> None:
    notice = Noticed("TILES_SMALLER", "It goes on in tiles of 512 px.")

    def noticed(link: ScriptedLink) -> None:
        link.make_step()
        link.says.put_nowait(notice)
        link.finish(partial=False)

    async with painted(tmp_path, noticed) as (_, events):
        assert [type(event.body) for event in events] == [
            StateChanged, StateChanged, Progressed, Noticed, Result, StateChanged,
        ]  # fmt: skip
        assert notices(events) == [notice]
        assert [event.sequence for event in events] == [1, 2, 3, 4, 5, 6]


async def test_the_engine_is_told_how_the_result_is_to_be_written(tmp_path: Path) -> None:
    wanted = ResultFormat("TIFF", 16)
    async with painted(tmp_path, finished, told=spec(result_format=wanted)) as (tasks, _):
        assert [task.result_format for task in tasks] == [wanted]


async def test_each_attempt_knows_how_often_memory_killed_those_before(tmp_path: Path) -> None:
    async with painted(tmp_path, crashed, killed, killed_after_a_step, killed, finished) as (tasks, events):
        assert [task.memory_deaths for task in tasks] == [0, 0, 1, 1, 2]
        assert [notice.reason for notice in notices(events)] == ["WORKER_KILLED"] * 2
        assert "was killed, probably because memory ran out; the job goes on with less" in notices(events)[0].message
        assert states(events) == ["queued", "running"] * 5 + ["succeeded"]


async def test_another_life_of_the_server_knows_them_too(tmp_path: Path) -> None:
    engine = ScriptedEngine("cpu")
    async with room(engine, tmp_path) as jobs:
        job = await jobs.create(spec())
        for _ in range(2):
            killed(await engine.link())
            await quiet(jobs)
        (await engine.link()).make_step()
        await quiet(jobs)
    engine = ScriptedEngine("cpu")
    async with Jobs(engine, tmp_path) as jobs:
        link = await engine.link()
        assert isinstance(link.task, Task)
        assert link.task.memory_deaths == 2
        killed(link)
        await quiet(jobs)
        killed(await engine.link())
        await quiet(jobs)
        killed(await engine.link())
        assert (await until(jobs, job.id, "failed")).error


@pytest.mark.parametrize(("scene", "attempts", "reason"), [(killed, 5, "OUT_OF_MEMORY"), (crashed, 3, "WORKER_DIED")])
async def test_a_job_that_kills_every_worker_fails_in_the_end(
    tmp_path: Path, scene: Scene, attempts: int, reason: str
) -> None:
    def after_a_step(link: ScriptedLink) -> None:
        link.make_step(1)
        scene(link)

    async with painted(tmp_path, *[after_a_step] * attempts) as (tasks, events):
        assert len(tasks) == attempts
        last = events[-1].body
        assert isinstance(last, StateChanged)
        assert last.state is State.FAILED
        assert last.error
        assert last.error.reason == reason
        assert f"{attempts} times at step 1" in last.error.message


async def test_kills_and_crashes_are_counted_apart(tmp_path: Path) -> None:
    scenes = (killed, killed, crashed, killed, crashed, killed, finished)
    async with painted(tmp_path, *scenes) as (tasks, events):
        assert len(tasks) == len(scenes)
        assert states(events)[-1] == "succeeded"


@pytest.mark.parametrize("reason", ["gone", "never_ready"])
async def test_a_worker_that_is_away_costs_the_job_nothing(tmp_path: Path, reason: LostReason) -> None:
    def away(link: ScriptedLink) -> None:
        link.lose(reason, "Its machine is away")

    async with painted(tmp_path, *[away] * 12, finished) as (tasks, events):
        assert len(tasks) == 13
        assert states(events)[-1] == "succeeded"


async def test_a_broken_device_does_not_eat_the_queue(tmp_path: Path) -> None:
    """It gets ready each time and crashes over whatever it is given; the healthy one is slow."""
    engine = ScriptedEngine("bad", "good")
    async with room(engine, tmp_path) as jobs:
        made = [(await jobs.create(spec())).id for _ in range(20)]
        while jobs.queued_count or jobs.running_count:
            await quiet(jobs)
            for link in engine.links:
                if link.task and link.worker_id == "bad":
                    crashed(link)
            await quiet(jobs)
            for link in engine.links:
                if link.task and link.worker_id == "good" and link.says.empty():
                    finished(link)
        assert {(await jobs.get(job_id)).state for job_id in made} == {State.SUCCEEDED}


async def test_a_worker_that_crashes_over_and_over_rests_for_longer_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendance, "FIRST_REST_S", 1000.0)
    engine = ScriptedEngine("bad")
    async with room(engine, tmp_path) as jobs:
        job = await jobs.create(spec())
        crashed(await engine.link())
        await quiet(jobs)
        assert not engine.links
        assert (await jobs.get(job.id)).state is State.QUEUED
        engine.join("good")
        finished(await engine.link())
        await until(jobs, job.id, "succeeded")


async def test_a_steering_that_comes_while_the_worker_starts_again_is_not_lost(tmp_path: Path) -> None:
    engine = ScriptedEngine("cpu")
    async with room(engine, tmp_path) as jobs:
        job = await jobs.create(spec())
        (await engine.link()).lose("gone")
        engine.leave("cpu")
        await quiet(jobs)
        await jobs.steer(job.id, Steering(tv_weight=0.5))
        engine.join("cpu")
        link = await engine.link()
        assert isinstance(link.task, Task)
        assert [steer.steering for steer in link.task.steerings] == [Steering(tv_weight=0.5)]
        await jobs.steer(job.id, Steering(tv_weight=0.75))
        link.take_steers()
        await quiet(jobs)
        crashed(link)
        await quiet(jobs)
        link = await engine.link()
        assert isinstance(link.task, Task)
        assert [(steer.number, steer.step) for steer in link.task.steerings] == [(1, None), (2, 1)]
        finished(link)
        await until(jobs, job.id, "succeeded")


async def test_jobs_that_ran_go_first_in_the_next_life_whoever_owns_them(tmp_path: Path) -> None:
    engine = ScriptedEngine("cpu")
    async with room(engine, tmp_path) as jobs:
        first = await jobs.create(spec(), owner="ann")
        await jobs.create(spec(), owner="ann")
        await jobs.create(spec(), owner="bob")
        await engine.link()
    engine = ScriptedEngine("cpu")
    async with Jobs(engine, tmp_path) as jobs:
        await engine.link()
        assert (await jobs.get(first.id)).state is State.RUNNING


async def test_a_cancel_with_the_worker_gone_ends_with_the_checkpoint_s_picture_at_once(tmp_path: Path) -> None:
    engine = ScriptedEngine("cpu")
    async with room(engine, tmp_path) as jobs:
        job = await jobs.create(spec())
        link = await engine.link()
        link.make_step()
        link.checkpoint()
        await quiet(jobs)
        while not (await jobs._writer.read(lambda journal: journal.checkpoint(job.id))):
            await quiet(jobs)
        engine.leave("cpu")
        await until(jobs, job.id, "queued")
        await jobs.cancel(job.id)
        ended = await until(jobs, job.id, "cancelled")
        assert ended.result
        assert (ended.result.partial, ended.result.step) == (True, 1)


async def test_cancelled_jobs_of_an_earlier_life_end_without_any_device(tmp_path: Path) -> None:
    engine = ScriptedEngine("cuda:0", "cuda:1")
    async with room(engine, tmp_path) as jobs:
        made = [(await jobs.create(spec(device=device))).id for device in ("cuda:0", "cuda:1")]
        await quiet(jobs)
        for link in engine.links[:1]:
            link.make_step()
            link.checkpoint()
        await quiet(jobs)
        for job_id in made:
            await jobs.cancel(job_id)
    async with Jobs(ScriptedEngine("cpu"), tmp_path) as jobs:
        ended = [await until(jobs, job_id, "cancelled") for job_id in made]
        assert [bool(job.result) for job in ended] == [True, False]
        for job_id in made:
            await jobs.delete(job_id)


async def test_a_watcher_sees_the_newest_progress_and_each_second_s_once(tmp_path: Path) -> None:
    engine = ScriptedEngine("cpu")
    async with room(engine, tmp_path) as jobs:
        job = await jobs.create(spec())
        link = await engine.link()
        seen: list[Event] = []
        async with aclosing(jobs.watch(job.id)) as items:
            async for item in items:
                assert isinstance(item, Event)
                seen.append(item)
                if isinstance(item.body, StateChanged) and item.body.state is State.RUNNING:
                    for _ in range(500):
                        link.make_step()
                    link.says.put_nowait(step(501, ends_scale=True))
                    link.finish(partial=False)
        progress = [(event.sequence, event.body.step) for event in seen if isinstance(event.body, Progressed)]
        assert [number for _, number in progress] == sorted({number for _, number in progress})
        assert progress[-1][1] == 501
        again = [item async for item in jobs.watch(job.id) if isinstance(item, Event)]
        assert [event for event in seen if event.sequence] == again
        assert sum(isinstance(event.body, Progressed) for event in again) <= 4


async def test_a_request_whose_job_is_deleted_meanwhile_begins_nothing_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine("cpu")
    async with room(engine, tmp_path) as jobs:
        first = await jobs.create(spec())
        link = await engine.link()
        link.make_step()
        link.checkpoint()
        link.finish(partial=False)
        await until(jobs, first.id, "succeeded")
        wanted = spec(continue_from=first.id)
        heir = await jobs.create(wanted, request_id="again")
        finished(await engine.link())
        await until(jobs, heir.id, "succeeded")
        requested = Journal.requested

        def requested_then_deleted(journal: Journal, *arguments: Any) -> Any:
            known = requested(journal, *arguments)
            monkeypatch.undo()
            jobs._writer.write(lambda journal: journal.delete(heir.id))
            return known

        monkeypatch.setattr(Journal, "requested", requested_then_deleted)
        again = await jobs.create(wanted, request_id="again")
        await quiet(jobs)
        if again.id != heir.id:
            task = (await engine.link()).task
            assert isinstance(task, Task)
            assert task.begin_from, "it continues a job, and would be painted from nothing"


@pytest.mark.filterwarnings("error")
async def test_a_server_that_stops_as_a_worker_joins_leaves_nothing_half_begun(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with room(engine, tmp_path) as jobs:
        job = await jobs.create(spec())
        await quiet(jobs)
        engine.join("cpu")
    gc.collect()
    async with Jobs(ScriptedEngine(), tmp_path) as jobs:
        assert (await until(jobs, job.id, "queued")).attempt == 1
