"""Gives waiting jobs to the engine's workers, attempt by attempt, and writes down what comes of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from impasto_server import suggest
from impasto_server.engine import (
    Checkpointed,
    DeviceInfo,
    Engine,
    Failed,
    Finished,
    Noticed,
    Previewed,
    Progressed,
    Steer,
    Steered,
    Task,
    Worker,
    WorkerDied,
)

from .journal import Journal
from .queue import JobQueue
from .record import JobRecord
from .state import EventBody, Job, JobError, Result, State, StateChanged
from .storage import Storage

MAX_DEATHS = 3
# A worker that was killed for its memory is worth more attempts: each goes on in smaller tiles.
MAX_MEMORY_DEATHS = 5
# The notice of such a death.
_KILLED = "WORKER_KILLED"
# How long to wait before what must be journaled is tried again on a full disk.
_DISK_RETRY_S = 1.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Deaths:
    """How often workers have died over a job without getting any further."""

    of_memory: int
    """All that looked like a lack of memory, in earlier lives of the server too."""
    step: int
    """Latest checkpoint at the last death."""
    count: int = 0

    def another(self, death: WorkerDied, step: int) -> bool:
        """Counts a death; one that came after some progress is the first again. True if it looks like a lack of memory.

        A worker that was killed after some progress may have been killed for any reason: it isn't held against the
        size of its tiles. If it was memory, the next attempt won't get any further.
        """
        progress = step > self.step
        self.count = 1 if progress else self.count + 1
        self.step = max(step, self.step)
        memory = death.out_of_memory and not progress
        self.of_memory += memory
        return memory


class Dispatcher:
    """One asyncio task a worker. `records` is the room's own mapping and grows under our hands."""

    def __init__(
        self,
        engine: Engine,
        queue: JobQueue,
        records: Mapping[str, JobRecord],
        journal: Journal,
        storage: Storage,
        *,
        checkpoint_interval_s: float,
    ) -> None:
        self._engine = engine
        self._queue = queue
        self._records = records
        self._journal = journal
        self._storage = storage
        self._checkpoint_interval_s = checkpoint_interval_s
        self._tasks: list[asyncio.Task[None]] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self.running: dict[str, Worker] = {}

    async def start(self) -> None:
        """Starts the engine and one task for each of its workers."""
        await self._engine.start()
        self._tasks = [
            asyncio.create_task(self._serve(worker), name=f"dispatcher {index}")
            for index, worker in enumerate(self._engine.workers)
        ]

    async def stop(self) -> None:
        """Ends everything at once; what ran goes on from its checkpoint at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._engine.stop()

    async def drain(self) -> None:
        """Starts nothing more and waits until nothing runs."""
        self._stopping = True
        await self._idle.wait()

    async def failed(self) -> BaseException:
        """Waits until a device can't be had; returns the reason."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        return next(error for task in done if (error := task.exception()))

    def tell_positions(self) -> None:
        """Tells those who wait how they have moved up: the first ten exactly, the others when it is worth an event."""
        for position, job_id in enumerate(self._queue, start=1):
            record = self._records[job_id]
            told = record.queue_position
            if position != told and (position <= 10 or not 0.8 * told < position < 1.25 * told):
                with _unless_disk_is_full():
                    record.append(StateChanged(State.QUEUED, queue_position=position))

    async def _serve(self, worker: Worker) -> None:
        device = await worker.ready()
        while True:
            job_id = await self._queue.take(device.name)
            if self._stopping:
                return
            self.running[job_id] = worker
            self._idle.clear()
            try:
                self.tell_positions()
                await self._paint(self._records[job_id], worker, device)
            finally:
                del self.running[job_id]
                if not self.running:
                    self._idle.set()

    async def _paint(self, record: JobRecord, worker: Worker, device: DeviceInfo) -> None:
        deaths = _Deaths(
            of_memory=self._journal.notices(record.job.id, _KILLED),
            step=self._storage.checkpointed_step(record.job.id),
        )
        while not record.job.state.has_ended:
            if record.job.state is not State.CANCELLING:  # it was, when an earlier life of the server ended
                attempt = record.job.attempt + 1
                await self._write(record, StateChanged(State.RUNNING, device=device.name), attempt=attempt)
            worker.show(record.demand)
            try:
                await self._attempt(record, worker, deaths.of_memory)
            except WorkerDied as death:
                log.warning("job %s, attempt %d: %s", record.job.id, record.job.attempt, death)
                await self._after_death(record, death, deaths)
            except Exception as defect:
                log.exception("job %s failed for a reason of ours", record.job.id)
                error = JobError("INTERNAL", f"The server failed: {defect}")
                await self._write(record, StateChanged(State.FAILED, error=error))
        await self._journal.durable()

    async def _after_death(self, record: JobRecord, death: WorkerDied, deaths: _Deaths) -> None:
        memory = deaths.another(death, self._storage.checkpointed_step(record.job.id))
        most = MAX_MEMORY_DEATHS if death.out_of_memory else MAX_DEATHS
        if record.job.state is State.CANCELLING and deaths.count > 1:
            await self._write(record, StateChanged(State.CANCELLED))
        elif deaths.count >= most:
            await self._write(record, StateChanged(State.FAILED, error=_hopeless(record.job, death, deaths.count)))
        elif memory and record.job.state is State.RUNNING:
            with _unless_disk_is_full():
                record.append(
                    Noticed(_KILLED, f"{death}, probably because memory ran out; the job goes on with less of it.")
                )

    async def _attempt(self, record: JobRecord, worker: Worker, memory_deaths: int) -> None:
        task = self._task(record.job, memory_deaths)
        asked_to_end = False
        async with contextlib.aclosing(worker.run(task)) as reports:
            async for report in reports:
                # The cancel may have come to an earlier life of the server, or to an attempt that died over it.
                if record.job.state is State.CANCELLING and not asked_to_end:
                    asked_to_end = True
                    worker.cancel()
                match report:
                    case Progressed() | Noticed():
                        with _unless_disk_is_full():
                            record.append(report)
                    case Previewed():
                        record.look(report)
                    case Steered(number, step):
                        with _unless_disk_is_full():
                            self._journal.steered(record.job.id, number, step)
                    case Checkpointed(step):
                        self._storage.note_checkpoint(record.job.id, step)
                    case Finished(step, partial):
                        if step:
                            sha256 = await self._storage.adopt(task.output)
                            await self._write(record, Result(sha256, step, partial))
                        await self._write(record, StateChanged(State.CANCELLED if partial else State.SUCCEEDED))
                    case Failed(reason, message):
                        error = JobError(reason, message)
                        await self._write(record, StateChanged(State.FAILED, error=error))

    def _task(self, job: Job, memory_deaths: int) -> Task:
        spec = job.spec
        blobs = self._storage.blobs
        return Task(
            content=blobs.path(spec.content),
            styles=tuple((blobs.path(style.sha256), style.weight) for style in spec.styles),
            recipe=spec.resolved(),
            output=blobs.scratch_path(),
            checkpoint=self._storage.checkpoint_path(job.id),
            begin_from=self._storage.beginning_path(job.id) if spec.continue_from else None,
            steerings=tuple(
                Steer(stored.number, stored.steering, stored.step) for stored in self._journal.steerings(job.id)
            ),
            checkpoint_interval_s=self._checkpoint_interval_s,
            result_format=spec.result_format,
            memory_deaths=memory_deaths,
        )

    async def _write(self, record: JobRecord, body: EventBody, *, attempt: int | None = None) -> None:
        """Journals what must not be lost: waits for room on a full disk, for what runs is never refused."""
        while True:
            try:
                record.append(body, attempt=attempt)
            except sqlite3.OperationalError as error:
                self._storage.release_reserve()
                log.error("job %s: the journal can't be written (%s); trying again", record.job.id, error)
                await asyncio.sleep(_DISK_RETRY_S)
            else:
                return


def _hopeless(job: Job, death: WorkerDied, count: int) -> JobError:
    size_px = job.spec.resolved().longest_px
    place = f"at step {job.progress.step}" if job.progress else "before its first step"
    if death.out_of_memory:
        advice = f"It probably ran out of memory at {size_px} px: {suggest.smaller(size_px)}."
        return JobError("OUT_OF_MEMORY", f"{death}, {count} times {place}. {advice}")
    return JobError("WORKER_DIED", f"{death}, {count} times {place}. The server's log says more.")


@contextlib.contextmanager
def _unless_disk_is_full() -> Iterator[None]:
    """For events that a job can do without."""
    try:
        yield
    except sqlite3.OperationalError as error:
        log.warning("an event could not be journaled: %s", error)
