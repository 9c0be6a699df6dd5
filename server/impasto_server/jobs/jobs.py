"""The jobs of a server: create, look up, watch, steer, cancel and delete them.

Live jobs are in memory, ended ones are looked up in the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
import uuid
from collections.abc import AsyncIterator, Sequence, Set
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from impasto_server import suggest
from impasto_server.engine import DeviceInfo, Engine, PreviewRequest, PreviewSpec, Steer, Steering

from .dispatch import Dispatcher
from .errors import (
    DeviceUnknown,
    DiskFull,
    JobEnded,
    JobNotEnded,
    NothingToContinue,
    QueueFull,
    SequenceUnknown,
    Stopping,
)
from .journal import Journal, JournalError, StoredSteering, not_found
from .live_job import LiveJob, Watched
from .state import Event, Job, JobSpec, State, StateChanged, after
from .storage import Reserve, Storage
from .writer import Writer

_SWEEP_INTERVAL_S = 600.0
_RESERVE_INTERVAL_S = 5.0
_EXPIRED_TOGETHER = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept, and for how long."""

    max_queued: int = 100
    keep_days: float = 7.0
    max_disk_bytes: int | None = None
    checkpoint_interval_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Device:
    """Something that paints; `starting` while it can't, with a notice why if it should have."""

    info: DeviceInfo
    busy: bool
    starting: bool


class Jobs:
    """All jobs of a server, as its journal has them.

    An async context manager: inside, jobs are given to the engine's workers, those first that ran when an earlier life
    of the server ended. Entering raises JournalError.
    """

    def __init__(self, engine: Engine, state_dir: Path, limits: Limits = Limits()) -> None:
        self._limits = limits
        reserve = Reserve(state_dir)
        self._writer = Writer(state_dir, reserve.release)
        self._reserve = reserve
        self._storage = Storage(state_dir, limits.max_disk_bytes, self._writer, reserve)
        self._live: dict[str, LiveJob] = {}
        self._dispatcher = Dispatcher(
            engine,
            self._live,
            self._writer,
            self._storage,
            checkpoint_interval_s=limits.checkpoint_interval_s,
            left_something=self._sweep_soon,
        )
        self._creating: set[str] = set()
        self._to_sweep = asyncio.Event()
        self._housekeeping: asyncio.Task[None] | None = None
        self._stopping = False

    async def __aenter__(self) -> Jobs:
        await self._writer.open()
        try:
            await self._storage.open()
            for live in await self._writer.read(self._stored):
                self._live[live.job.id] = live
        except BaseException as error:
            await self._writer.close()
            if isinstance(error, OSError):
                raise JournalError(f"The state folder can't be used: {error}.") from error
            raise
        self._housekeeping = asyncio.create_task(self._keep_house(), name="housekeeping")
        await self._dispatcher.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._housekeeping:
            self._housekeeping.cancel()
        await self._dispatcher.stop()
        await self._writer.close()

    @property
    def storage(self) -> Storage:
        """Where images are."""
        return self._storage

    @property
    def queued_count(self) -> int:
        """Jobs that wait."""
        return sum(live.job.state is State.QUEUED for live in self._live.values())

    @property
    def running_count(self) -> int:
        """Jobs that have begun and not ended."""
        return len(self._live) - self.queued_count

    def devices(self) -> list[Device]:
        """What this server paints on."""
        found = []
        for worker in self._dispatcher.attendance.workers:
            busy = worker.worker_id in self._dispatcher.running
            notices = (worker.why,) if worker.why else ()
            starting = DeviceInfo(worker.worker_id, "away" if worker.why else "starting", notices=notices)
            found.append(Device(worker.info.device if worker.info else starting, busy, starting=not worker.info))
        return found

    async def hopeless(self) -> str:
        """Waits until none of the devices can be had; says why. Raises JournalError when the journal breaks."""
        waiting = [
            asyncio.ensure_future(one) for one in (self._dispatcher.attendance.hopeless(), self._writer.broken())
        ]
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return str(done.pop().result())
        finally:
            for one in waiting:
                one.cancel()

    async def create(self, spec: JobSpec, *, owner: str = "", request_id: str = "", only_own: bool = False) -> Job:
        """Queues a job, on disk before this returns; the same owner's same `request_id` gives the same job.

        With `only_own` it can go on from its owner's jobs only: others aren't found.

        Raises ImageNotFound, NothingToContinue, JobNotFound, DeviceUnknown, RequestIdReused, QueueFull, DiskFull,
        Stopping.
        """
        job = Job(str(uuid.uuid4()), spec, time.time(), owner)
        if request_id and (known := await self._writer.read(lambda journal: journal.requested(job, request_id))):
            return self._seen(known)
        if spec.device is not None:
            await self._check_device(spec.device)
        beginning = (
            await self._beginning(spec.continue_from, owner if only_own else None) if spec.continue_from else None
        )
        await self._check_room()
        event = Event(1, job.create_time, 0, StateChanged(State.QUEUED, queue_position=self.queued_count + 1))
        job = after(job, event)
        pinned = frozenset(self._storage.files.pinned)

        def admit(known: Job | None) -> None:
            if known is None:
                live = self._live[job.id] = self._live_job(job)
                live.beginning = beginning
                live.admitted(event)
                self._dispatcher.match()

        self._creating.add(job.id)
        written = self._writer.try_to_write(
            lambda journal: journal.create(job, event, request_id, beginning, pinned), admit
        )
        written.add_done_callback(lambda _: self._creating.discard(job.id))
        known = await asyncio.shield(written)  # counted until it is made, whether its client waits or not
        return self._seen(known) if known else job

    async def get(self, job_id: str, owner: str | None = None) -> Job:
        """A job as it stands, of that owner if one is named. Raises JobNotFound."""
        live = self._live.get(job_id)
        job = live.seen if live else await self._writer.read(lambda journal: journal.job(job_id))
        if owner not in (None, job.owner):
            raise not_found(job_id)
        return job

    async def page(
        self,
        page_size: int,
        before: int | None = None,
        states: Set[State] = frozenset(),
        owner: str | None = None,
    ) -> tuple[Sequence[Job], int | None]:
        """A page of jobs, the newest first, from behind the number `before`; and the number that the next one is
        behind, None on the last.

        `states` are those wanted, empty means all; `owner` whose, None means everybody's.
        """
        wanted = [state.value for state in states]
        jobs, more = await self._writer.read(lambda journal: journal.page(page_size, before, wanted, owner))
        return [self._seen(job) for job in jobs], more

    async def steer(self, job_id: str, steering: Steering) -> Job:
        """Changes weights of a queued or running job from its next step on.

        Raises JobNotFound, JobEnded, DiskFull.
        """
        live = self._live.get(job_id)
        job = live.job if live else await self.get(job_id)
        if live is None or job.state.has_ended:
            raise JobEnded(f"The job has ended ({job.state.value}) and can't be steered any more.")

        def steered(number: int) -> None:
            live.steerings[number] = StoredSteering(number, steering, None)
            if live.attempt:
                live.attempt.steer(Steer(number, steering))

        await self._writer.try_to_write(lambda journal: journal.steer(job_id, steering), steered)
        return live.seen

    async def cancel(self, job_id: str) -> Job:
        """Ends a job within a step; no change if it has ended or is being cancelled. Raises JobNotFound."""
        live = self._live.get(job_id)
        if live is None:
            return await self.get(job_id)
        if live.job.state in (State.QUEUED, State.RUNNING):
            await self._dispatcher.cancel(live)
        return live.seen

    async def delete(self, job_id: str) -> None:
        """Forgets an ended job and what only it refers to. Raises JobNotFound, JobNotEnded, DiskFull."""
        job = await self.get(job_id)
        if not job.state.has_ended:
            raise JobNotEnded(f"The job is {job.state.value}: cancel it first.")
        await self._writer.try_to_write(lambda journal: journal.delete(job_id))
        self._sweep_soon()

    async def watch(
        self, job_id: str, *, after_sequence: int = 0, spec: PreviewSpec | None = None, interval_s: float = 0.25
    ) -> AsyncIterator[Event | Watched]:
        """Follows a job until it ends.

        Raises JobNotFound, also when it is deleted meanwhile; SequenceUnknown; Stopping when the server goes before
        the job ends.
        """
        await self.check_sequence(job_id, after_sequence)
        live = self._live.get(job_id) or LiveJob(await self.get(job_id), self._writer)
        who = object()
        if spec:
            live.request_previews(who, PreviewRequest(frozenset({spec}), interval_s))
        try:
            async with aclosing(live.follow(after_sequence, spec, interval_s)) as items:
                async for item in items:
                    yield item
        finally:
            if spec:
                live.request_previews(who, None)

    async def check_sequence(self, job_id: str, after_sequence: int) -> None:
        """Raises SequenceUnknown for an event of the job that hasn't happened, and JobNotFound."""
        last = (await self.get(job_id)).last_sequence
        if after_sequence > last:
            raise SequenceUnknown(f"after_sequence is {after_sequence}; the job's latest event is {last}.")

    async def drain(self, patience_s: float) -> None:
        """Takes no new jobs and starts none, and waits until the running ones have ended, or for `patience_s`."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._dispatcher.drain()

    def close(self) -> None:
        """Tells every watcher that the server goes."""
        for live in self._live.values():
            live.close()

    def _stored(self, journal: Journal) -> list[LiveJob]:
        """Jobs that had not ended when an earlier life of the server did."""
        found = []
        for job in journal.live_jobs():
            live = self._live_job(job)
            live.checkpoint = journal.checkpoint(job.id)
            live.beginning = journal.beginning(job.id)
            live.steerings = {stored.number: stored for stored in journal.steerings(job.id)}
            found.append(live)
        return found

    def _live_job(self, job: Job) -> LiveJob:
        return LiveJob(job, self._writer, functools.partial(self._live.__delitem__, job.id))

    def _seen(self, stored: Job) -> Job:
        """The newest that is known of a job that was read from the journal."""
        live = self._live.get(stored.id)
        return live.seen if live else stored

    async def _beginning(self, job_id: str, owner: str | None) -> str:
        before = await self.get(job_id, owner)
        if not before.state.has_ended:
            raise JobNotEnded(f"The job to continue is {before.state.value}: wait for its end, or cancel it.")
        checkpoint = await self._writer.read(lambda journal: journal.checkpoint(job_id))
        if checkpoint is None:
            raise NothingToContinue("The job to continue ended before its first step: there is nothing to continue.")
        return checkpoint.sha256

    async def _check_room(self) -> None:
        if self._stopping:
            raise Stopping("The server is stopping and takes no new jobs: try again later.")
        await self._storage.check_room()
        waiting = self.queued_count + len(self._creating - self._live.keys())
        if waiting >= self._limits.max_queued:
            raise QueueFull(
                f"{waiting} jobs are waiting, which is all this server queues: try again later.",
                self._expected_wait_s(),
            )

    async def _check_device(self, name: str) -> None:
        names = await self._dispatcher.attendance.device_names(name)
        if name not in names:
            raise DeviceUnknown(suggest.unknown("device", name, names))

    def _expected_wait_s(self) -> float:
        running = (self._live[job_id].seen.progress for job_id in self._dispatcher.running.values())
        return max(1.0, min((progress.seconds_left for progress in running if progress), default=5.0))

    def _sweep_soon(self) -> None:
        self._to_sweep.set()

    async def _keep_house(self) -> None:
        while True:
            try:
                await self._expire()
                await self._storage.sweep()
            except (OSError, DiskFull) as error:
                log.warning("housekeeping will be tried again: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SWEEP_INTERVAL_S if self._reserve.is_there else _RESERVE_INTERVAL_S):
                    await self._to_sweep.wait()
            self._to_sweep.clear()

    async def _expire(self) -> None:
        """In small portions, so that nobody waits long for the journal."""
        oldest = time.time() - self._limits.keep_days * 86_400
        expired = _EXPIRED_TOGETHER
        while expired == _EXPIRED_TOGETHER:
            expired = await self._writer.try_to_write(lambda journal: journal.expire(oldest, _EXPIRED_TOGETHER))
