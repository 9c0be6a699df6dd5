"""The jobs room's door: create, look up, watch, steer, cancel and delete jobs; gives them to the engine's workers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Sequence

from impasto_server import suggest
from impasto_server.engine import (
    DeviceInfo,
    Engine,
    Failed,
    Finished,
    PreviewDemand,
    Previewed,
    PreviewSpec,
    Progressed,
    Steering,
    Task,
    Worker,
    WorkerDied,
)

from .blobs import BlobStore
from .errors import (
    DeviceUnknown,
    ImageNotFound,
    JobEnded,
    JobNotEnded,
    JobNotFound,
    QueueFull,
    RequestIdReused,
    Stopping,
)
from .queue import JobQueue
from .record import JobRecord, Watched
from .state import Event, Job, JobError, JobSpec, Result, State, StateChanged

MAX_ATTEMPTS = 3

log = logging.getLogger(__name__)


class Jobs:
    """All jobs of a server. They live in memory: a restart forgets them.

    An async context manager: inside, jobs are given to the engine's workers.
    """

    def __init__(self, engine: Engine, blobs: BlobStore, *, max_queued: int) -> None:
        self._engine = engine
        self._blobs = blobs
        self._max_queued = max_queued
        self._records: dict[str, JobRecord] = {}
        self._requests: dict[str, str] = {}
        self._queue = JobQueue()
        self._runs: dict[str, Worker] = {}
        self._dispatchers: list[asyncio.Task[None]] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False

    async def __aenter__(self) -> Jobs:
        await self._engine.start()
        self._dispatchers = [
            asyncio.create_task(self._serve(worker), name=f"dispatcher {index}")
            for index, worker in enumerate(self._engine.workers)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for dispatcher in self._dispatchers:
            dispatcher.cancel()
        await asyncio.gather(*self._dispatchers, return_exceptions=True)
        await self._engine.stop()

    async def failed(self) -> BaseException:
        """Waits until no job can be painted any more because a device can't be had; returns the reason."""
        done, _ = await asyncio.wait(self._dispatchers, return_when=asyncio.FIRST_EXCEPTION)
        return next(error for task in done if (error := task.exception()))

    @property
    def queued_count(self) -> int:
        """Jobs that wait."""
        return len(self._queue)

    @property
    def running_count(self) -> int:
        """Jobs that are being painted."""
        return len(self._runs)

    def devices(self) -> list[tuple[DeviceInfo, bool]]:
        """Devices known so far, and whether each is busy."""
        busy = list(self._runs.values())
        return [(worker.info, worker in busy) for worker in self._engine.workers if worker.info]

    async def create(self, spec: JobSpec, request_id: str = "") -> Job:
        """Queues a job; the same `request_id` gives the same job.

        Raises RecipeError, ImageNotFound, DeviceUnknown, RequestIdReused, QueueFull, Stopping.
        """
        if known := self._requests.get(request_id):
            if self._records[known].job.spec != spec:
                raise RequestIdReused(f"request_id {request_id} already made job {known} with another body.")
            return self._records[known].job
        if self._stopping:
            raise Stopping("The server is stopping and takes no new jobs: try again later.")
        spec.resolved()
        self._check_images(spec)
        if spec.device is not None:
            await self._check_device(spec.device)
        if len(self._queue) >= self._max_queued:
            raise QueueFull(
                f"{len(self._queue)} jobs are waiting, which is all this server queues: try again later.",
                self._expected_wait_s(),
            )
        job = Job(id=str(uuid.uuid4()), spec=spec, create_time=time.time())
        record = self._records[job.id] = JobRecord(job)
        if request_id:
            self._requests[request_id] = job.id
        record.append(StateChanged(State.QUEUED, queue_position=len(self._queue) + 1))
        await self._queue.put(job.id, spec.device)
        return record.job

    def get(self, job_id: str) -> Job:
        """A job as it stands. Raises JobNotFound."""
        return self._record(job_id).job

    def list(self, page_size: int, before_id: str | None = None) -> tuple[Sequence[Job], bool]:
        """A page of jobs, the newest first, from behind `before_id`; and whether there are more. Raises JobNotFound."""
        ids = list(reversed(self._records))
        if before_id is not None:
            self._record(before_id)
            ids = ids[ids.index(before_id) + 1 :]
        return [self._records[job_id].job for job_id in ids[:page_size]], len(ids) > page_size

    def steer(self, job_id: str, steering: Steering) -> Job:
        """Changes weights of a running job from its next step on. Raises JobNotFound, JobEnded."""
        record = self._record(job_id)
        if record.job.state.has_ended:
            raise JobEnded(f"The job has ended ({record.job.state.value}) and can't be steered any more.")
        record.steering = record.steering.then(steering)
        if worker := self._runs.get(job_id):
            worker.steer(steering)
        return record.job

    def cancel(self, job_id: str) -> Job:
        """Ends a job within a step; no change if it has ended or is being cancelled. Raises JobNotFound."""
        record = self._record(job_id)
        if record.job.state is State.QUEUED:
            self._queue.remove(job_id)
            record.append(StateChanged(State.CANCELLED))
            self._tell_positions()
        elif record.job.state is State.RUNNING:
            record.append(StateChanged(State.CANCELLING))
            self._runs[job_id].cancel()
        return record.job

    def delete(self, job_id: str) -> None:
        """Forgets an ended job and its result. Raises JobNotFound, JobNotEnded."""
        job = self._record(job_id).job
        if not job.state.has_ended:
            raise JobNotEnded(f"The job is {job.state.value}: cancel it first.")
        del self._records[job_id]
        self._requests = {request: made for request, made in self._requests.items() if made != job_id}
        if job.result and not self._needed(job.result.sha256):
            self._blobs.delete(job.result.sha256)

    async def watch(
        self,
        job_id: str,
        *,
        after_sequence: int = 0,
        spec: PreviewSpec | None = None,
        interval_s: float = 0.25,
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
            self._wish(record, who, None)

    async def drain(self, patience_s: float) -> None:
        """Takes no new jobs and starts none, and waits until the running ones have ended, or for `patience_s`."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._idle.wait()

    def close(self) -> None:
        """Tells every watcher that the server goes."""
        for record in self._records.values():
            record.close()

    def _record(self, job_id: str) -> JobRecord:
        try:
            return self._records[job_id]
        except KeyError:
            raise JobNotFound(f"There is no job {job_id}: it was deleted, or made on another server.") from None

    def _check_images(self, spec: JobSpec) -> None:
        if spec.content not in self._blobs:
            raise ImageNotFound(
                "spec.content", f"The content image {spec.content} is not on this server: upload it first."
            )
        for index, style in enumerate(spec.styles):
            if style.sha256 not in self._blobs:
                raise ImageNotFound(
                    f"spec.styles[{index}].image",
                    f"The style image {style.sha256} is not on this server: upload it first.",
                )

    async def _check_device(self, name: str) -> None:
        names = [(await worker.ready()).name for worker in self._engine.workers]
        if name not in names:
            raise DeviceUnknown(suggest.unknown("device", name, names))

    def _needed(self, sha256: str) -> bool:
        jobs = (record.job for record in self._records.values())
        return any(sha256 in job.spec.images or (job.result and job.result.sha256 == sha256) for job in jobs)

    def _expected_wait_s(self) -> float:
        running = [self._records[job_id].job.progress for job_id in self._runs]
        return max(1.0, min((progress.seconds_left for progress in running if progress), default=5.0))

    def _wish(self, record: JobRecord, who: object, demand: PreviewDemand | None) -> None:
        record.wish(who, demand)
        if worker := self._runs.get(record.job.id):
            worker.show(record.demand)

    def _tell_positions(self) -> None:
        for position, job_id in enumerate(self._queue, start=1):
            record = self._records[job_id]
            if record.queue_position != position:
                record.append(StateChanged(State.QUEUED, queue_position=position))

    async def _serve(self, worker: Worker) -> None:
        device = await worker.ready()
        while True:
            job_id = await self._queue.take(device.name)
            if self._stopping:
                return
            self._runs[job_id] = worker
            self._idle.clear()
            try:
                self._tell_positions()
                await self._paint(self._records[job_id], worker, device)
            finally:
                del self._runs[job_id]
                if not self._runs:
                    self._idle.set()

    async def _paint(self, record: JobRecord, worker: Worker, device: DeviceInfo) -> None:
        for attempt in range(1, MAX_ATTEMPTS + 1):
            record.append(StateChanged(State.RUNNING, device=device.name), attempt=attempt)
            worker.show(record.demand)
            try:
                await self._attempt(record, worker)
            except WorkerDied as death:
                log.warning("job %s, attempt %d: %s", record.job.id, attempt, death)
                if record.job.state is State.CANCELLING:
                    record.append(StateChanged(State.CANCELLED))
                elif attempt == MAX_ATTEMPTS:
                    error = JobError(
                        "WORKER_DIED",
                        f"{death}. {MAX_ATTEMPTS} attempts ended like this; a smaller --size needs less memory.",
                    )
                    record.append(StateChanged(State.FAILED, error=error))
            except Exception as defect:
                log.exception("job %s failed for a reason of ours", record.job.id)
                record.append(StateChanged(State.FAILED, error=JobError("INTERNAL", f"The server failed: {defect}")))
            if record.job.state.has_ended:
                return

    async def _attempt(self, record: JobRecord, worker: Worker) -> None:
        spec = record.job.spec
        styles = tuple((self._blobs.path(style.sha256), style.weight) for style in spec.styles)
        recipe = record.steering.applied_to(spec.resolved())
        task = Task(self._blobs.path(spec.content), styles, recipe, self._blobs.scratch_path())
        async with contextlib.aclosing(worker.run(task)) as reports:
            async for report in reports:
                match report:
                    case Progressed():
                        record.append(report)
                    case Previewed():
                        record.look(report)
                    case Finished(step, partial):
                        if step:
                            sha256 = await asyncio.to_thread(self._blobs.adopt, task.output)
                            record.append(Result(sha256, step, partial))
                        record.append(StateChanged(State.CANCELLED if partial else State.SUCCEEDED))
                    case Failed(reason, message):
                        record.append(StateChanged(State.FAILED, error=JobError(reason, message)))
