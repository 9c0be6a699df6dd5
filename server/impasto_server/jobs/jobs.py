"""The jobs room's door: create, look up, watch, steer, cancel and delete jobs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from impasto_server import suggest
from impasto_server.engine import DeviceInfo, Engine, PreviewDemand, PreviewSpec, Steer, Steering

from .dispatch import Dispatcher
from .errors import (
    DeviceUnknown,
    DiskFull,
    ImageNotFound,
    JobEnded,
    JobNotEnded,
    JobNotFound,
    NothingToContinue,
    QueueFull,
    RequestIdReused,
    Stopping,
)
from .journal import Journal
from .queue import JobQueue
from .record import JobRecord, Watched
from .state import Event, Job, JobSpec, State, StateChanged
from .storage import Storage

_SWEEP_INTERVAL_S = 600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How much is kept, and for how long."""

    max_queued: int = 100
    keep_days: float = 7.0
    max_disk_bytes: int | None = None
    checkpoint_interval_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Device:
    """Something that paints; `starting` until it is known what it is."""

    info: DeviceInfo
    busy: bool
    starting: bool


class Jobs:
    """All jobs of a server, as its journal has them.

    An async context manager: inside, jobs are given to the engine's workers, those first that ran when an earlier life
    of the server ended. Raises JournalError.
    """

    def __init__(self, engine: Engine, state_dir: Path, keeping: Keeping = Keeping()) -> None:
        self._engine = engine
        self._keeping = keeping
        self._journal = Journal(state_dir / "journal.sqlite3")
        self._storage = Storage(state_dir, keeping.max_disk_bytes)
        self._queue = JobQueue()
        self._records: dict[str, JobRecord] = {}
        self._requests: dict[tuple[str, str], str] = {}
        self._dispatcher = Dispatcher(
            engine,
            self._queue,
            self._records,
            self._journal,
            self._storage,
            checkpoint_interval_s=keeping.checkpoint_interval_s,
        )
        self._housekeeping: asyncio.Task[None] | None = None
        self._stopping = False

    async def __aenter__(self) -> Jobs:
        self._recover()
        self._sweep()
        self._housekeeping = asyncio.create_task(self._keep_house(), name="housekeeping")
        await self._dispatcher.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._housekeeping:
            self._housekeeping.cancel()
        await self._dispatcher.stop()
        await self._journal.durable()
        self._journal.close()

    @property
    def storage(self) -> Storage:
        """Where images are."""
        return self._storage

    @property
    def queued_count(self) -> int:
        """Jobs that wait."""
        return len(self._queue)

    @property
    def running_count(self) -> int:
        """Jobs that are being painted."""
        return len(self._dispatcher.running)

    def devices(self) -> list[Device]:
        """What this server paints on."""
        busy = list(self._dispatcher.running.values())
        return [
            Device(worker.info or DeviceInfo(worker.asked_for, "starting"), worker in busy, worker.info is None)
            for worker in self._engine.workers
        ]

    async def failed(self) -> BaseException:
        """Waits until a device can't be had; returns the reason."""
        return await self._dispatcher.failed()

    async def create(self, spec: JobSpec, *, owner: str = "", request_id: str = "", only_own: bool = False) -> Job:
        """Queues a job, on disk before this returns; the same owner's same `request_id` gives the same job.

        With `only_own` it can go on from its owner's jobs only: others aren't found.

        Raises RecipeError, ImageNotFound, NothingToContinue, JobNotFound, DeviceUnknown, RequestIdReused, QueueFull,
        DiskFull, Stopping.
        """
        if spec.device is not None:
            await self._check_device(spec.device)
        # From here to the journal nothing is awaited: the same request twice at once makes one job.
        if known := self._requests.get((owner, request_id)):
            job = self._records[known].job
            if job.spec != spec:
                raise RequestIdReused(f"request_id {request_id} already made job {known} with another body.")
            await self._journal.durable()
            return job
        self._check(spec, owner if only_own else None)
        record = JobRecord(Job(str(uuid.uuid4()), spec, time.time(), owner), self._journal)
        try:
            if spec.continue_from:
                self._storage.begin_from(record.job.id, spec.continue_from)
            record.create(StateChanged(State.QUEUED, queue_position=len(self._queue) + 1), request_id)
        except (sqlite3.OperationalError, OSError) as error:
            self._storage.forget(record.job.id)
            raise DiskFull(f"The server can't write the job down ({error}): try again later.") from error
        self._admit(record, request_id)
        self._queue.put(record.job.id, owner, spec.device)
        job = record.job
        await self._journal.durable()
        return job

    def get(self, job_id: str, owner: str | None = None) -> Job:
        """A job as it stands, of that owner if one is named. Raises JobNotFound."""
        job = self._record(job_id).job
        if owner not in (None, job.owner):
            raise _not_found(job_id)
        return job

    def list(
        self,
        page_size: int,
        before_id: str | None = None,
        states: Set[State] = frozenset(),
        owner: str | None = None,
    ) -> tuple[Sequence[Job], bool]:
        """A page of jobs, the newest first, from behind `before_id`; and whether there are more.

        `states` are those wanted, empty means all; `owner` whose, None means everybody's. Raises JobNotFound.
        """
        jobs: Iterator[Job] = (record.job for record in reversed(self._records.values()))
        if before_id is not None:
            self._record(before_id)
            jobs = itertools.dropwhile(lambda job: job.id != before_id, jobs)
            next(jobs)
        wanted = (job for job in jobs if (not states or job.state in states) and owner in (None, job.owner))
        page = list(itertools.islice(wanted, page_size))
        return page, next(wanted, None) is not None

    async def steer(self, job_id: str, steering: Steering) -> Job:
        """Changes weights of a queued or running job from its next step on. Raises JobNotFound, JobEnded."""
        record = self._record(job_id)
        if record.job.state.has_ended:
            raise JobEnded(f"The job has ended ({record.job.state.value}) and can't be steered any more.")
        number = self._journal.steer(job_id, steering)
        if worker := self._dispatcher.running.get(job_id):
            worker.steer(Steer(number, steering))
        await self._journal.durable()
        return record.job

    async def cancel(self, job_id: str) -> Job:
        """Ends a job within a step; no change if it has ended or is being cancelled. Raises JobNotFound."""
        record = self._record(job_id)
        if record.job.state is State.QUEUED and not self._storage.has_checkpoint(job_id):
            self._queue.remove(job_id)
            record.append(StateChanged(State.CANCELLED))
            self._dispatcher.tell_positions()
        elif record.job.state is State.QUEUED:
            # It had begun before the server's last stop: a worker makes a picture of what there is.
            record.append(StateChanged(State.CANCELLING))
        elif record.job.state is State.RUNNING:
            record.append(StateChanged(State.CANCELLING))
            self._dispatcher.running[job_id].cancel()
        job = record.job
        await self._journal.durable()
        return job

    async def delete(self, job_id: str) -> None:
        """Forgets an ended job and its result. Raises JobNotFound, JobNotEnded."""
        job = self._record(job_id).job
        if not job.state.has_ended:
            raise JobNotEnded(f"The job is {job.state.value}: cancel it first.")
        self._forget(job)
        await self._journal.durable()

    async def watch(
        self, job_id: str, *, after_sequence: int = 0, spec: PreviewSpec | None = None, interval_s: float = 0.25
    ) -> AsyncIterator[Event | Watched]:
        """Follows a job until it ends. Raises JobNotFound, and Stopping when the server goes before the job ends."""
        record = self._record(job_id)
        who = object()
        if spec:
            self._wish(record, who, PreviewDemand(frozenset({spec}), interval_s))
        try:
            async for item in record.follow(after_sequence, spec, interval_s):
                yield item
        finally:
            if spec:
                self._wish(record, who, None)

    async def drain(self, patience_s: float) -> None:
        """Takes no new jobs and starts none, and waits until the running ones have ended, or for `patience_s`."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._dispatcher.drain()

    def close(self) -> None:
        """Tells every watcher that the server goes."""
        for record in self._records.values():
            record.close()

    def _recover(self) -> None:
        """What the journal holds: waiting jobs wait again, and those that ran go first."""
        for job, request_id in self._journal.jobs():
            record = JobRecord(job, self._journal)
            self._admit(record, request_id)
            if job.state.has_ended:
                continue
            ran = job.state in (State.RUNNING, State.CANCELLING)
            self._queue.put(job.id, job.owner, job.spec.device, first=ran)
            if job.state is State.RUNNING:
                record.append(StateChanged(State.QUEUED, queue_position=1))

    def _admit(self, record: JobRecord, request_id: str) -> None:
        self._records[record.job.id] = record
        if request_id:
            self._requests[record.job.owner, request_id] = record.job.id

    def _record(self, job_id: str) -> JobRecord:
        try:
            return self._records[job_id]
        except KeyError:
            raise _not_found(job_id) from None

    def _check(self, spec: JobSpec, owner: str | None) -> None:
        if self._stopping:
            raise Stopping("The server is stopping and takes no new jobs: try again later.")
        spec.resolved()
        self._check_images(spec)
        if spec.continue_from:
            before = self.get(spec.continue_from, owner)
            if not before.state.has_ended:
                raise JobNotEnded(f"The job to continue is {before.state.value}: wait for its end, or cancel it.")
            if not self._storage.has_checkpoint(before.id):
                raise NothingToContinue(
                    "The job to continue ended before its first step: there is nothing to continue."
                )
        if len(self._queue) >= self._keeping.max_queued:
            raise QueueFull(
                f"{len(self._queue)} jobs are waiting, which is all this server queues: try again later.",
                self._expected_wait_s(),
            )
        self._storage.check_room()

    def _check_images(self, spec: JobSpec) -> None:
        blobs = self._storage.blobs
        if spec.content not in blobs:
            message = f"The content image {spec.content} is not on this server: upload it first."
            raise ImageNotFound("spec.content", message)
        for index, style in enumerate(spec.styles):
            if style.sha256 not in blobs:
                message = f"The style image {style.sha256} is not on this server: upload it first."
                raise ImageNotFound(f"spec.styles[{index}].image", message)

    async def _check_device(self, name: str) -> None:
        names = [(await worker.ready()).name for worker in self._engine.workers]
        if name not in names:
            raise DeviceUnknown(suggest.unknown("device", name, names))

    def _expected_wait_s(self) -> float:
        running = [self._records[job_id].job.progress for job_id in self._dispatcher.running]
        return max(1.0, min((progress.seconds_left for progress in running if progress), default=5.0))

    def _wish(self, record: JobRecord, who: object, demand: PreviewDemand | None) -> None:
        record.wish(who, demand)
        if worker := self._dispatcher.running.get(record.job.id):
            worker.show(record.demand)

    def _forget(self, job: Job) -> None:
        self._journal.delete(job.id)
        del self._records[job.id]
        self._requests = {request: made for request, made in self._requests.items() if made != job.id}
        self._storage.forget(job.id)
        if job.result and job.result.sha256 not in self._needed():
            self._storage.blobs.delete(job.result.sha256)

    def _needed(self) -> set[str]:
        """Hashes of all images that a job refers to."""
        needed: set[str] = set()
        for record in self._records.values():
            needed |= record.job.spec.images
            if record.job.result:
                needed.add(record.job.result.sha256)
        return needed

    def _sweep(self) -> None:
        oldest = time.time() - self._keeping.keep_days * 86_400
        for record in list(self._records.values()):
            if record.job.end_time and record.job.end_time < oldest:
                self._forget(record.job)
        self._storage.sweep(self._needed(), self._records.keys())
        self._storage.keep_reserve()

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_INTERVAL_S)
            try:
                self._sweep()
            except (OSError, sqlite3.Error):
                log.exception("housekeeping failed; it will be tried again")


def _not_found(job_id: str) -> JobNotFound:
    return JobNotFound(f"There is no job {job_id}: it was deleted, or made on another server.")
