"""What becomes of an engine's reports and of its workers' deaths, with an engine that follows a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from impasto_server.engine import (
    Checkpointed,
    DeviceInfo,
    Finished,
    Losses,
    Noticed,
    PreviewDemand,
    Progressed,
    Report,
    ResultFormat,
    Steer,
    Task,
    WorkerDied,
)
from impasto_server.jobs import Event, Jobs, JobSpec, Result, State, StateChanged, StyleSource

KILLED = WorkerDied("The worker on here was killed", out_of_memory=True)
CRASHED = WorkerDied("The worker on here crashed (SIGSEGV)")
STEP = Progressed(1, 1, 1, 9, 64, 64, Losses(1, 2, 3, 6), 1.0, 8.0)
PNG = ResultFormat()
Scene = Sequence[Report | WorkerDied | None]


class ScriptedWorker:
    """Plays one scene an attempt, the last one again and again. None is a line that never comes."""

    asked_for = "here"
    info = DeviceInfo("here", "a script")

    def __init__(self, *scenes: Scene) -> None:
        self.scenes = list(scenes)
        self.tasks: list[Task] = []

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    @property
    def workers(self) -> Sequence[ScriptedWorker]:
        return [self]

    async def ready(self) -> DeviceInfo:
        return self.info

    async def run(self, task: Task) -> AsyncGenerator[Report]:
        self.tasks.append(task)
        for line in self.scenes.pop(0) if len(self.scenes) > 1 else self.scenes[0]:
            await asyncio.sleep(0)
            if line is None:
                await asyncio.Event().wait()
            if isinstance(line, WorkerDied):
                raise line
            if isinstance(line, Finished):
                task.output.write_bytes(b"a picture")
            yield line

    def steer(self, steer: Steer) -> None: ...

    def show(self, demand: PreviewDemand) -> None: ...

    def cancel(self) -> None: ...


@asynccontextmanager
async def painted(
    folder: Path, *scenes: Scene, result_format: ResultFormat = PNG
) -> AsyncIterator[tuple[ScriptedWorker, list[Event]]]:
    """A job that such a worker has brought to its end, and its events."""
    worker = ScriptedWorker(*scenes)
    async with Jobs(worker, folder) as jobs:
        with jobs.storage.blobs.incoming() as blob:
            blob.write(b"photo")
            blob.commit("p" * 64)
        spec = JobSpec("p" * 64, (StyleSource("p" * 64),), "draft", result_format=result_format)
        job = await jobs.create(spec)
        yield worker, [item async for item in jobs.watch(job.id) if isinstance(item, Event)]


def notices(events: Sequence[Event]) -> list[Noticed]:
    return [event.body for event in events if isinstance(event.body, Noticed)]


async def test_a_notice_of_the_engine_is_an_event_like_any_other(tmp_path: Path) -> None:
    notice = Noticed("TILES_SMALLER", "It goes on in tiles of 512 px.")
    async with painted(tmp_path, [STEP, notice, Finished(9, partial=False)]) as (_, events):
        assert [type(event.body) for event in events] == [
            StateChanged, StateChanged, Progressed, Noticed, Result, StateChanged,
        ]  # fmt: skip
        assert notices(events) == [notice]
        assert [event.sequence for event in events] == [1, 2, 3, 4, 5, 6]


async def test_the_engine_is_told_how_the_result_is_to_be_written(tmp_path: Path) -> None:
    wanted = ResultFormat("TIFF", 16)
    async with painted(tmp_path, [Finished(9, partial=False)], result_format=wanted) as (worker, _):
        assert [task.result_format for task in worker.tasks] == [wanted]


async def test_each_attempt_knows_how_often_memory_killed_those_before(tmp_path: Path) -> None:
    got_somewhere = [STEP, Checkpointed(1), KILLED]
    async with painted(tmp_path, [CRASHED], [KILLED], got_somewhere, [KILLED], [Finished(9, partial=False)]) as (
        worker,
        events,
    ):
        assert [task.memory_deaths for task in worker.tasks] == [0, 0, 1, 1, 2]
        assert [notice.reason for notice in notices(events)] == ["WORKER_KILLED"] * 2
        assert "was killed, probably because memory ran out; the job goes on with less" in notices(events)[0].message


async def test_another_life_of_the_server_knows_them_too(tmp_path: Path) -> None:
    worker = ScriptedWorker([KILLED], [KILLED], [STEP, None])
    async with Jobs(worker, tmp_path) as jobs:
        with jobs.storage.blobs.incoming() as blob:
            blob.write(b"photo")
            blob.commit("p" * 64)
        job = await jobs.create(JobSpec("p" * 64, (StyleSource("p" * 64),), "draft"))
        async with aclosing(jobs.watch(job.id)) as items:
            async for item in items:
                if isinstance(item, Event) and isinstance(item.body, Progressed):
                    break
    assert [task.memory_deaths for task in worker.tasks] == [0, 1, 2]
    worker = ScriptedWorker([Finished(9, partial=False)])
    async with Jobs(worker, tmp_path) as jobs:
        assert [item async for item in jobs.watch(job.id)]
    assert [task.memory_deaths for task in worker.tasks] == [2]


@pytest.mark.parametrize(("death", "attempts", "reason"), [(KILLED, 5, "OUT_OF_MEMORY"), (CRASHED, 3, "WORKER_DIED")])
async def test_a_job_that_kills_every_worker_fails_in_the_end(
    tmp_path: Path, death: WorkerDied, attempts: int, reason: str
) -> None:
    async with painted(tmp_path, [STEP, death]) as (worker, events):
        assert len(worker.tasks) == attempts
        last = events[-1].body
        assert isinstance(last, StateChanged)
        assert last.state is State.FAILED
        assert last.error
        assert last.error.reason == reason
        assert f"{attempts} times at step 1" in last.error.message
