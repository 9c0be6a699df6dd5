"""What the server keeps, measured: memory after a job's end, a journal with many ended jobs, and the journal's size.

Two of the three run the rooms in this process, with workers that follow a script: what is counted is the server's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sqlite3
import statistics
import tempfile
import threading
import time
import tracemalloc
import types
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from bench.report import Row, at_most
from impasto.v1 import job_pb2, stylizer_pb2
from impasto_server.engine import Checkpointed, Finished, Losses, Picture, Progressed
from impasto_server.jobs import Event, Job, Jobs, Limits, Result, State, StateChanged, live_job
from impasto_server.jobs.journal import Journal
from impasto_server.jobs.state import after
from tests.jobs import room
from tests.jobs.scripted_engine import FACTS, ScriptedEngine, ScriptedLink
from tests.server_process import ServerProcess

PAGE = 50
STATES = (State.SUCCEEDED, State.CANCELLED, State.FAILED)
CHECKPOINT_S = 5.0


def kept_memory(jobs: int = 2000, together: int = 50) -> Sequence[Row]:
    """What the rooms' Python objects grow by with each job that was painted, watched and has ended; exact."""

    async def measured() -> float:
        engine = ScriptedEngine(*(f"cpu#{number}" for number in range(4)))
        with fresh_folder() as folder:
            async with room.room(engine, folder, Limits(max_queued=10 * together)) as jobs_room:

                async def some(count: int) -> None:
                    for start in range(0, count, together):
                        await end_all(jobs_room, engine, min(together, count - start))

                await some(10 * together)  # what is allocated once is allocated now
                before = await allocated(jobs_room)
                await some(jobs)
                return (await allocated(jobs_room) - before) / jobs

    tracemalloc.start()
    try:
        kept = asyncio.run(measured())
    finally:
        tracemalloc.stop()
    return [at_most(f"{jobs} jobs painted, watched and ended: memory kept", kept / 1000, 0.2, "kB a job")]


async def end_all(jobs: Jobs, engine: ScriptedEngine, count: int) -> None:
    """So many jobs at a time, each with a watcher, a checkpoint and a picture."""

    async def one() -> None:
        made = await jobs.create(room.spec(), owner=os.urandom(8).hex(), request_id=str(uuid.uuid4()))
        async for _ in jobs.watch(made.id):
            pass

    working = asyncio.gather(*(one() for _ in range(count)))
    while not working.done():
        for link in engine.links:
            if link.task and link.says.empty():
                link.make_step()
                link.checkpoint()
                link.finish(partial=False)
        await asyncio.sleep(0.001)
    await working
    engine.attempts.clear()


async def allocated(jobs: Jobs) -> int:
    """Bytes of Python objects, once all is quiet."""
    await room.quiet(jobs)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def ended_jobs(jobs: int = 100_000, asked: int = 100) -> Sequence[Row]:
    """A server that starts with many ended jobs in its journal, and lists them."""
    with fresh_folder() as folder:
        write_ended(folder, jobs)
        began = time.perf_counter()
        with ServerProcess(folder) as server:
            server.stub.GetServerInfo(stylizer_pb2.GetServerInfoRequest())
            rows = [at_most(f"{jobs} ended jobs: start to serving", time.perf_counter() - began, 2, "s")]
            deep = page_token(server, jobs * 9 // 10)
            all_jobs: Sequence[job_pb2.Job.State] = ()
            few = (job_pb2.Job.STATE_FAILED,)
            two = (job_pb2.Job.STATE_SUCCEEDED, job_pb2.Job.STATE_FAILED)
            running = (job_pb2.Job.STATE_RUNNING,)
            for what, token, states in (
                ("the first", "", all_jobs),
                ("a deep one", deep, all_jobs),
                ("the first of those that failed, one in a thousand", "", few),
                ("a deep one of those that failed", deep, few),
                ("the first of two states", "", two),
                ("a deep one of two states", deep, two),
                ("the first of those that run, none", "", running),
            ):
                request = stylizer_pb2.ListJobsRequest(page_size=PAGE, page_token=token, states=states)
                times = [timed(lambda request=request: server.stub.ListJobs(request)) for _ in range(asked)]  # type: ignore[misc]
                slowest = f"slowest of {asked}: {1000 * max(times):.1f} ms"
                rows.append(at_most(f"  page: {what}", 1000 * statistics.median(times), 20, "ms", slowest))
    return rows


def write_ended(folder: Path, jobs: int) -> None:
    """A journal with so many jobs that have ended, one in a thousand of them in vain and one in ten cancelled."""
    journal = Journal(folder)
    with journal.transaction():
        journal.promise(room.PHOTO_SHA256, len(room.PHOTO), time.time() + 3600, FACTS)
        for number in range(jobs):
            state = State.FAILED if number % 1000 == 0 else State.CANCELLED if number % 10 == 1 else State.SUCCEEDED
            now = time.time()
            job = Job(str(uuid.uuid4()), room.spec(), now)
            first = Event(1, now, 0, StateChanged(State.QUEUED, queue_position=1))
            job = after(job, first)
            journal.create(job, first, str(uuid.uuid4()), None, ())
            bodies = [StateChanged(State.RUNNING, device="cpu"), progress(1), progress(500)]
            if state is State.CANCELLED:
                bodies = [*bodies, StateChanged(State.CANCELLING)]
            if state is not State.FAILED:
                bodies = [*bodies, Result(os.urandom(32).hex(), 500, state is State.CANCELLED, 100_000, FACTS)]
            events = []
            for body in (*bodies, StateChanged(state)):
                events.append(Event(job.last_sequence + 1, now, 1, body))
                job = after(job, events[-1])
            journal.append(job, events)
    journal.close()


def page_token(server: ServerProcess, skipped: int) -> str:
    """Of the page behind so many jobs, as a client comes by it."""
    token = ""
    for _ in range(max(1, skipped // 1000)):
        size = min(1000, skipped)
        token = server.stub.ListJobs(stylizer_pb2.ListJobsRequest(page_size=size, page_token=token)).next_page_token
    return token


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def journal_size(
    jobs: int = 1000, steps: int = 500, steps_per_second: float = 10.0, together: int = 50
) -> Sequence[Row]:
    """What a journal comes to, and what the event loop had to do with the disk.

    The clock that progress is journaled by is the script's: each step takes what it takes at `steps_per_second`, with
    a checkpoint every five seconds. Below one step a second there is no more to journal.
    """
    clock = types.SimpleNamespace(time=time.time, now_s=0.0)
    clock.monotonic = lambda: clock.now_s
    with fresh_folder() as folder, mock.patch.object(live_job, "time", clock), disk_on_this_thread() as waited:
        sizes: list[int] = []

        async def run() -> tuple[int, float]:
            engine = ScriptedEngine(*(f"cpu#{number}" for number in range(together)))
            async with room.room(engine, folder, Limits(max_queued=jobs)) as jobs_room:
                written = written_by("journal writer")
                holding = asyncio.create_task(longest_hold())
                made = [await jobs_room.create(room.spec()) for _ in range(jobs)]
                while jobs_room.running_count or jobs_room.queued_count:
                    clock.now_s += 1 / steps_per_second
                    await step_all(jobs_room, engine, steps, steps_per_second)
                assert {(await jobs_room.get(job.id)).state for job in made} == {State.SUCCEEDED}
                await room.quiet(jobs_room)
                holding.cancel()
                sizes.extend(
                    path.stat().st_size for path in sorted(folder.glob("journal.sqlite3*")) if "shm" not in path.name
                )
                with contextlib.suppress(asyncio.CancelledError):
                    await holding
                return written_by("journal writer") - written, max(holds)

        holds: list[float] = []

        async def longest_hold() -> None:
            while True:
                began = time.perf_counter()
                await asyncio.sleep(0.001)
                holds.append(time.perf_counter() - began - 0.001)

        total, hold = asyncio.run(run())
    thousand = sizes[0] * 1000 / jobs + sum(sizes[1:])
    name = f"1000 jobs of {steps} steps at {steps_per_second:g} a second"
    parts = f"from {jobs}: " + " + ".join(f"{size / 1e6:.1f}" for size in sizes)
    return [
        at_most(f"{name}: the journal and its log", thousand / 1e6, 40, "MB", parts),
        Row("  bytes given to the disk for a job", total / 1e6 / jobs, "MB", note="the log, and folding it in"),
        at_most("  SQLite and fsync on the event loop", 1000 * waited[0], 0, "ms"),
        Row("  longest time the loop was held", 1000 * hold, "ms", note="the script's own work included"),
    ]


async def step_all(jobs: Jobs, engine: ScriptedEngine, steps: int, steps_per_second: float) -> None:
    """Every job that is painted makes a step; those that made their last one end."""
    every = max(1, round(CHECKPOINT_S * steps_per_second))
    for link in [link for link in engine.links if link.task]:
        link.step += 1
        link.says.put_nowait(progress(link.step, steps))
        if link.step % every == 0 or link.step == steps:
            await written_beside(link)
        if link.step == steps:
            picture = await asyncio.to_thread(link.written, b"a picture")
            link.says.put_nowait(Finished(steps, False, Picture(picture, FACTS)))
    while any(not link.says.empty() for link in engine.links):  # noqa: ASYNC110 - a turn of the loop, no time
        await asyncio.sleep(0)
    # A real second is long enough for the disk.
    await jobs._writer.write(lambda _: None)
    engine.attempts[:] = [(attempt, link) for attempt, link in engine.attempts if attempt.end is None]


async def written_beside(link: ScriptedLink) -> None:
    """A checkpoint, as a worker's own process writes it: not on the loop."""
    data = b"checkpoint %d %s" % (link.step, os.urandom(8))
    link.says.put_nowait(Checkpointed(link.step, await asyncio.to_thread(link.written, data)))


def progress(step: int, steps: int = 500) -> Progressed:
    """As an engine reports it, with numbers as long as real ones."""
    losses = Losses(1234.56789012345 / step, 2345.67890123456 / step, 34.5678901234567 / step, 3614.81457 / step)
    return Progressed(
        1, 1, step, steps, 512, 384, losses, 9.87654321 + 1 / step, (steps - step) / 9.87654321, step == steps
    )


@contextlib.contextmanager
def disk_on_this_thread() -> Iterator[list[float]]:
    """Seconds that this thread has spent in SQLite and in fsync since; the one element of the list."""
    spent, here = [0.0], threading.get_ident()

    def noted(act: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return act(*arguments, **options)
            finally:
                if threading.get_ident() == here:
                    spent[0] += time.perf_counter() - began

        return noting

    class Connection(sqlite3.Connection):
        execute = noted(sqlite3.Connection.execute)

    connect = sqlite3.connect
    with (
        mock.patch.object(
            sqlite3, "connect", lambda *arguments, **options: connect(*arguments, factory=Connection, **options)
        ),
        mock.patch.object(os, "fsync", noted(os.fsync)),
    ):
        yield spent


def written_by(thread_name: str) -> int:
    """Bytes that a thread of this process has written to files."""
    (thread,) = (thread for thread in threading.enumerate() if thread.name == thread_name)
    counts = dict(line.split(": ") for line in Path(f"/proc/self/task/{thread.native_id}/io").read_text().splitlines())
    return int(counts["wchar"])


@contextlib.contextmanager
def fresh_folder() -> Iterator[Path]:
    """A state folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="impasto-keeping-") as scratch:
        yield Path(scratch)
