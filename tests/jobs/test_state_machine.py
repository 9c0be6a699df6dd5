"""The jobs room under everything at once: random users, workers, disks, clocks and kills; the promises hold throughout.

The room is the real one, with its journal, threads and files; only the engine follows a script. A *kill* takes the
state folder as the system has it at that moment and starts a server on it, as after SIGKILL. `IMPASTO_STATE_MACHINE_S`
says for how long to go on, 30 seconds unless told otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import random
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from impasto_server import durable
from impasto_server.engine import Steering
from impasto_server.jobs import Event, Job, JobNotFound, Jobs, Limits, Refusal, State, StateChanged, attendance
from impasto_server.jobs import writer as writer_module
from impasto_server.jobs.journal import Journal

from .room import PHOTO_SHA256, quiet, spec, upload
from .scripted_engine import ScriptedEngine, ScriptedLink

T = TypeVar("T")

DEVICES = ("cpu", "cuda:0", "cuda:1")
LIMITS = Limits(max_queued=12, checkpoint_interval_s=0)
PICK = st.integers(0, 999)
SECONDS = float(os.environ.get("IMPASTO_STATE_MACHINE_S", "30"))


class World:
    """What a test may break: the disk and the clock."""

    def __init__(self) -> None:
        self.full = False
        self.clock_s = 0.0
        self._reserve = 20
        self._patch = pytest.MonkeyPatch()
        transaction, replace, now = Journal.transaction, durable.replace, time.time

        def limited_transaction(journal: Journal) -> Any:
            if self.full and not self._has_room():
                raise sqlite3.OperationalError("database or disk is full")
            return transaction(journal)

        def limited_replace(scratch: Path, target: Path) -> None:
            if self.full and not self._has_room():
                raise OSError(errno.ENOSPC, "No space left on device")
            replace(scratch, target)

        self._patch.setattr(Journal, "transaction", limited_transaction)
        self._patch.setattr(durable, "replace", limited_replace)
        self._patch.setattr(time, "time", lambda: now() + self.clock_s)
        self._patch.setattr(writer_module, "_RETRY_S", 0.005)
        self._patch.setattr(attendance, "FIRST_REST_S", 0.001)
        self._patch.setattr(attendance, "LONGEST_REST_S", 0.002)

    def fill_disk(self, room_for: int) -> None:
        """So many writes find room yet."""
        self.full, self._reserve = True, room_for

    def restore(self) -> None:
        self._patch.undo()

    def _has_room(self) -> bool:
        self._reserve -= 1
        return self._reserve >= 0


class Complaints(logging.Handler):
    """What the room itself calls a defect."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info or "never retrieved" in text:
            self.found.append(self.format(record))


class JobsRoom(RuleBasedStateMachine):
    """A server's life, or several."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.complaints = Complaints()
        logging.getLogger().addHandler(self.complaints)
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(self._complain)
        self.folders = Path(tempfile.mkdtemp())
        self.vouched: dict[str, State] = {}
        """Jobs that a client was told of and hasn't deleted, as it last knew them."""
        self.cancelled: set[str] = set()
        self.results: dict[str, str] = {}
        self.watchers: dict[asyncio.Task[None], tuple[str, list[int]]] = {}
        self.requests: dict[int, str] = {}

    def _complain(self, _: Any, context: dict[str, Any]) -> None:
        self.complaints.found.append(f"{context['message']} {context.get('exception')!r}")

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 20))

    def try_to(self, coroutine: Coroutine[Any, Any, T]) -> T | None:
        """What a client asks for may be refused, never anything else."""
        try:
            return self.run(coroutine)
        except Refusal:
            return None

    def pick(self, number: int) -> str:
        jobs = sorted(self.vouched)
        return jobs[number % len(jobs)]

    def settle(self) -> None:
        async def settled() -> None:
            for _ in range(3):
                if self.world.full:
                    await asyncio.sleep(0.01)
                else:
                    await quiet(self.jobs)

        self.run(settled())

    @initialize()
    def start_for_the_first_time(self) -> None:
        self.start(self.folders / "0", DEVICES[:2])
        self.run(upload(self.jobs))

    def start(self, folder: Path, devices: tuple[str, ...]) -> None:
        self.folder = folder
        self.engine = ScriptedEngine(*devices)
        self.away: set[str] = set(DEVICES) - set(devices)

        async def opened() -> Jobs:
            return await Jobs(self.engine, folder, LIMITS).__aenter__()

        self.jobs = self.run(opened())
        self.settle()

    # Clients

    @rule(device=st.sampled_from((None, None, None, *DEVICES[:2])), request=st.integers(0, 30))
    def create(self, device: str | None, request: int) -> None:
        owner = "ab"[request % 2]
        made = self.try_to(self.jobs.create(spec(device=device), owner=owner, request_id=str(request)))
        if made is None:
            return
        known = self.requests.get(request)
        if known in self.vouched:
            assert made.id == known, "a request makes one job"
        self.requests[request] = made.id
        self.vouched[made.id] = made.state

    @rule(pick=PICK)
    def continue_one(self, pick: int) -> None:
        if not self.vouched:
            return
        before = self.pick(pick)
        made = self.try_to(self.jobs.create(spec(continue_from=before)))
        if made:
            self.vouched[made.id] = made.state

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        if not self.vouched:
            return
        job_id = self.pick(pick)
        with contextlib.suppress(TimeoutError):  # on a full disk it is decided, and answered when there is room
            self.loop.run_until_complete(asyncio.wait_for(self.jobs.cancel(job_id), 0.1 if self.world.full else 20))
            self.cancelled.add(job_id)

    @rule(pick=PICK)
    def steer(self, pick: int) -> None:
        if not self.vouched:
            return
        self.try_to(self.jobs.steer(self.pick(pick), Steering(tv_weight=0.5)))

    @rule(pick=PICK)
    def delete(self, pick: int) -> None:
        if not self.vouched:
            return
        job_id = self.pick(pick)

        async def deleted() -> bool:
            await self.jobs.delete(job_id)
            return True

        if self.try_to(deleted()):
            del self.vouched[job_id]
            self.cancelled.discard(job_id)

    @rule(pick=PICK, slow=st.booleans())
    def watch(self, pick: int, slow: bool) -> None:
        if not self.vouched:
            return
        job_id = self.pick(pick)
        sequences: list[int] = []

        async def follow() -> None:
            with contextlib.suppress(Refusal):
                async for item in self.jobs.watch(job_id):
                    if isinstance(item, Event) and item.sequence:
                        sequences.append(item.sequence)
                    if slow:
                        await asyncio.sleep(0.002)

        self.watchers[self.loop.create_task(follow())] = job_id, sequences

    # Workers

    def links(self) -> list[ScriptedLink]:
        return [link for link in self.engine.links if link.task and link.worker_id]

    def link(self, pick: int) -> ScriptedLink:
        """One that is at work; if none is, one that nobody hears."""
        links = self.links()
        nobody = ScriptedLink("", self.jobs.storage.hold_for_attempt(), self.jobs.storage)
        return links[pick % len(links)] if links else nobody

    @rule(pick=PICK)
    def make_step(self, pick: int) -> None:
        self.link(pick).make_step()

    @rule(pick=PICK)
    def checkpoint(self, pick: int) -> None:
        link = self.link(pick)
        link.make_step()
        link.checkpoint(b"of two jobs" if pick % 2 else b"of %d" % pick)

    @rule(pick=PICK)
    def take_steers(self, pick: int) -> None:
        self.link(pick).take_steers()

    @rule(pick=PICK, same=st.booleans())
    def finish(self, pick: int, same: bool) -> None:
        link = self.link(pick)
        link.make_step()
        link.checkpoint()
        link.finish(partial=link.cancelled, data=b"the same picture" if same else b"picture %d" % pick)

    @rule(pick=PICK)
    def fail(self, pick: int) -> None:
        self.link(pick).fail()

    @rule(pick=PICK, reason=st.sampled_from(("crashed", "out_of_memory", "gone", "never_ready")))
    def lose_worker(self, pick: int, reason: Any) -> None:
        self.link(pick).lose(reason)

    @rule(device=st.sampled_from(DEVICES))
    def leave_or_join(self, device: str) -> None:
        async def change() -> None:
            if device in self.away:
                self.engine.join(device)
            else:
                self.engine.leave(device)

        self.run(change())
        self.away ^= {device}

    # The world

    @rule(room_for=st.integers(0, 6))
    def fill_disk(self, room_for: int) -> None:
        self.world.fill_disk(room_for)

    @rule()
    def make_room(self) -> None:
        self.world.full = False

    @rule(seconds=st.sampled_from((-3600.0, 60.0, 7200.0)))
    def jump(self, seconds: float) -> None:
        self.world.clock_s += seconds

    @rule(ticks=st.integers(0, 40))
    def let_some_happen(self, ticks: int) -> None:
        """So that the next rule meets things half done."""

        async def some() -> None:
            for _ in range(ticks):
                await asyncio.sleep(0)

        self.run(some())

    @rule()
    def let_all_happen(self) -> None:
        self.settle()

    @rule(devices=st.sets(st.sampled_from(DEVICES)), ticks=st.integers(0, 30))
    def kill_and_start(self, devices: set[str], ticks: int) -> None:
        self.let_some_happen(ticks)
        after = self.folders / str(len(list(self.folders.iterdir())))
        # Nothing is written while the folder is copied: the thread is in the middle of a transaction, which is lost.
        copied = threading.Event()
        writing = threading.Event()

        def stand_still(_: Journal) -> None:
            writing.set()
            copied.wait(10)

        if not self.world.full:
            self.jobs._writer.write(stand_still)
            writing.wait(10)
        shutil.copytree(
            self.folder, after, ignore=shutil.ignore_patterns("*-shm", "journal.lock*", "reserve", "incoming")
        )
        copied.set()
        self.abandon()
        self.world.full = False
        self.start(after, tuple(sorted(devices)))

    @rule(devices=st.sets(st.sampled_from(DEVICES)))
    def stop_and_start(self, devices: set[str]) -> None:
        if self.world.full:
            return
        self.jobs.close()
        self.run(self.jobs.__aexit__())
        self.end_watchers()
        self.start(self.folder, tuple(sorted(devices)))

    def abandon(self) -> None:
        """What is left of a server in this process, once its folder was taken."""

        async def ended() -> None:
            self.jobs.close()
            await self.jobs.__aexit__()

        self.run(ended())
        self.end_watchers()

    def end_watchers(self) -> None:
        for task in self.watchers:
            task.cancel()
        if self.watchers:
            self.run(_gone(list(self.watchers)))
        self.check_watchers()
        self.watchers.clear()

    # The promises

    @invariant()
    def nothing_went_wrong(self) -> None:
        assert not self.complaints.found, "\n".join(self.complaints.found)

    @invariant()
    def check_watchers(self) -> None:
        for job_id, sequences in self.watchers.values():
            assert sequences == list(range(1, len(sequences) + 1)), job_id

    @invariant()
    def no_job_is_lost_or_doubled(self) -> None:
        if not hasattr(self, "jobs"):
            return
        listed, before = [], None
        while True:
            page, before = self.run(self.jobs.page(5, before))
            listed += [job.id for job in page]
            if before is None:
                break
        assert len(listed) == len(set(listed))
        assert set(self.vouched) <= set(listed)
        # Attempts: one for a worker, one for a job; memory has those that haven't ended, and no others.
        workers = [link.worker_id for link in self.engine.links if link.worker_id]
        assert len(workers) == len(set(workers))
        for job_id, known in list(self.vouched.items()):
            job, is_live = self.run(self.standing(job_id))
            if known.has_ended:
                assert job.state is known, "what has ended stays as it was"
            self.vouched[job_id] = job.state
            if job.result:
                assert self.results.setdefault(job_id, job.result.sha256) == job.result.sha256
            assert is_live == (not job.state.has_ended)

    async def standing(self, job_id: str) -> tuple[Job, bool]:
        """The job as anybody sees it, and whether it is in memory."""
        return await self.jobs.get(job_id), job_id in self.jobs._live

    def blobs_are_what_is_referred_to(self) -> None:
        """Once all is quiet."""
        self.run(self.jobs.storage.sweep())

        def rows(journal: Journal) -> tuple[set[str], set[str]]:
            database = journal._database
            blobs = {name for (name,) in database.execute("SELECT sha256 FROM blobs")}
            return blobs, {name for (name,) in database.execute("SELECT sha256 FROM blob_references")}

        blobs, references = self.run(self.jobs._writer.read(rows))
        files = {path.name for path in (self.folder / "blobs").glob("??/*") if path.parent.name != "incoming"}
        assert references <= blobs <= references | {PHOTO_SHA256}
        held = set(self.jobs.storage._held)
        assert blobs <= files <= blobs | held
        assert not held - files

    def teardown(self) -> None:
        try:
            if hasattr(self, "jobs") and not self.complaints.found:
                self.every_job_can_end()
        finally:
            if hasattr(self, "jobs"):
                self.abandon()
            self.run(self.loop.shutdown_default_executor())
            self.loop.close()
            self.world.restore()
            logging.getLogger().removeHandler(self.complaints)
            shutil.rmtree(self.folders, ignore_errors=True)

    def every_job_can_end(self) -> None:
        """With room on the disk and a healthy device of each name, all jobs end, and so do those who watch them."""
        self.world.full = False
        for device in sorted(self.away):
            self.leave_or_join(device)
        for _ in range(200):
            self.settle()
            for link in self.links():
                if link.says.empty():
                    link.make_step()
                    link.finish(partial=link.cancelled, data=os.urandom(8))
            if not self.jobs._live:
                break
        self.settle()
        self.no_job_is_lost_or_doubled()
        for job_id in self.vouched:
            job = self.run(self.jobs.get(job_id))
            assert job.state.has_ended, f"{job_id} stays {job.state.value}"
            if job_id in self.cancelled:
                assert job.state is not State.SUCCEEDED or job.result
        if self.watchers:
            self.run(asyncio.wait_for(_gone(list(self.watchers)), 20))
        for job_id, sequences in self.watchers.values():
            with contextlib.suppress(JobNotFound):
                assert len(sequences) == self.run(self.jobs.get(job_id)).last_sequence
                events = self.run(_history(self.jobs, job_id))
                states = [event.body.state for event in events if isinstance(event.body, StateChanged)]
                assert sum(state.has_ended for state in states) == 1
        self.check_watchers()
        self.blobs_are_what_is_referred_to()
        self.nothing_went_wrong()


async def _gone(tasks: list[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)


async def _history(jobs: Jobs, job_id: str) -> list[Event]:
    return [item async for item in jobs.watch(job_id) if isinstance(item, Event)]


@pytest.mark.timeout(SECONDS + 120)
def test_the_promises_hold_whatever_happens() -> None:
    end = time.monotonic() + SECONDS
    seed = random.SystemRandom().randrange(2**32)
    rounds = 0
    while time.monotonic() < end:
        rounds += 1
        run = hypothesis.seed(seed + rounds)(JobsRoom)
        hypothesis.stateful.run_state_machine_as_test(
            run,
            settings=settings(
                max_examples=20,
                stateful_step_count=50,
                deadline=None,
                database=None,
                phases=[Phase.generate],  # threads have their own mind: what failed need not fail when it is shrunk
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    print(f"{rounds * 20} lives from seed {seed}")
