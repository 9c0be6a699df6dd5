"""Matches waiting jobs with workers, attempt by attempt, and carries out what becomes of each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from impasto_server.engine import (
    Attempt,
    Checkpointed,
    End,
    Engine,
    Lost,
    Noticed,
    Previewed,
    Progressed,
    RenderTask,
    Report,
    Steer,
    Steered,
    Task,
    WorkerInfo,
)

from .attendance import Attendance
from .errors import DiskFull
from .journal import StoredCheckpoint
from .line import in_line
from .live_job import LiveJob
from .state import JobError, State, StateChanged
from .storage import HeldBlobs, Storage
from .verdict import Verdict, after_attempt, after_rendering, cancelled
from .writer import Writer

_MOST_RENDERING = 2
_RENDERING_TRIES = 3

log = logging.getLogger(__name__)


class Dispatcher:
    """`live` is the room's own mapping of jobs that haven't ended, in the order of their creation."""

    def __init__(
        self,
        engine: Engine,
        live: Mapping[str, LiveJob],
        writer: Writer,
        storage: Storage,
        *,
        checkpoint_interval_s: float,
        left_something: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._live = live
        self._writer = writer
        self._storage = storage
        self._checkpoint_interval_s = checkpoint_interval_s
        self._left_something = left_something
        self._busy: dict[str, str] = {}
        self._turn = 0
        self._turns: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._rendering = asyncio.Semaphore(_MOST_RENDERING)
        self._stopping = False
        self.attendance = Attendance(self.match)

    async def start(self) -> None:
        """Sets the engine going; what an earlier life of the server left half done goes on."""
        for live in list(self._live.values()):
            match live.job.state:
                case State.RUNNING:
                    live.change(StateChanged(State.QUEUED, deaths=live.job.deaths))
                case State.CANCELLING:
                    self._carry_out(live, cancelled(_step(live)))
        await self._engine.start(self.attendance.hear)

    async def stop(self) -> None:
        """Ends everything at once; what ran goes on from its checkpoint at the next start."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._engine.stop()

    async def drain(self) -> None:
        """Begins nothing more and waits until nothing runs."""
        self._stopping = True
        while self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def running(self) -> Mapping[str, str]:
        """Ids of the jobs that are being painted, by worker."""
        return self._busy

    def match(self) -> None:
        """Gives jobs to workers for as long as there is one of each that fit, and tells the others their places."""
        if not self._stopping:
            for info in self.attendance.ready:
                if info.id in self._busy or self.attendance.rests(info.id):
                    continue
                if live := self._next(info):
                    self._begin(live, info)
        for position, live in enumerate(self._line(), start=1):
            live.tell_position(position)

    def cancel(self, live: LiveJob) -> asyncio.Future[None]:
        """The job is QUEUED or RUNNING; done once its new state is journaled."""
        if live.attempt:
            decided = live.change(StateChanged(State.CANCELLING))
            live.attempt.cancel()
        elif verdict := cancelled(_step(live)).bodies:
            decided = live.change(*verdict)
        else:
            decided = live.change(StateChanged(State.CANCELLING))
            self._carry_out(live, cancelled(_step(live)))
        self.match()
        return decided

    def _line(self) -> list[LiveJob]:
        waiting = [live.job for live in self._live.values() if live.job.state is State.QUEUED]
        owners = {job.owner for job in waiting}
        self._turns = {owner: self._turns.get(owner, self._turn) for owner in owners}
        return [self._live[job.id] for job in in_line(waiting, self._turns)]

    def _next(self, info: WorkerInfo) -> LiveJob | None:
        def suits(live: LiveJob, other: WorkerInfo) -> bool:
            fits = live.job.spec.device in (None, other.device.name)
            return fits and other.id not in live.job.deaths.workers

        for live in self._line():
            fits = live.job.spec.device in (None, info.device.name)
            # One that died over the job gets it again only where there is no other.
            if fits and (suits(live, info) or not any(suits(live, other) for other in self.attendance.ready)):
                return live
        return None

    def _begin(self, live: LiveJob, info: WorkerInfo) -> None:
        blobs = self._storage.hold_for_attempt()
        attempt = self._engine.begin(info.id, self._task(live), self._storage, blobs)
        attempt.show(live.previews)
        live.attempt = attempt
        live.change(StateChanged(State.RUNNING, device=info.device.name), attempt=live.job.attempt + 1)
        self._turn += 1
        self._turns[live.job.owner] = self._turn
        self._busy[info.id] = live.job.id
        self._run(live, lambda: self._see_through(live, attempt, info, blobs), blobs)

    def _run(self, live: LiveJob, work: Callable[[], Coroutine[Any, Any, None]], blobs: HeldBlobs) -> None:
        async def run() -> None:
            try:
                await work()  # not before: a task that is cancelled first begins nothing
            except Exception as defect:
                log.exception("job %s failed for a reason of ours", live.job.id)
                live.attempt = None
                if not live.job.state.has_ended:
                    error = JobError("INTERNAL", f"The server failed: {defect}")
                    await live.change(StateChanged(State.FAILED, error=error))
                self.match()
            finally:
                blobs.release()
                self._left_something()

        task = asyncio.create_task(run(), name=f"job {live.job.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _see_through(self, live: LiveJob, attempt: Attempt, info: WorkerInfo, blobs: HeldBlobs) -> None:
        try:
            end = await self._follow(live, attempt, blobs)
        finally:
            del self._busy[info.id]
        if isinstance(end, Lost):
            log.warning("job %s, attempt %d: %s (%s)", live.job.id, live.job.attempt, end.message, end.reason)
        verdict = after_attempt(live.job, end, info.id, _step(live))
        self.attendance.judge(info.id, did_badly=verdict.blames_worker)
        written = self._carry_out(live, verdict)
        self.match()
        await written

    async def _follow(self, live: LiveJob, attempt: Attempt, blobs: HeldBlobs) -> End:
        try:
            async with aclosing(attempt.reports()) as reports:
                async for report in reports:
                    self._note(live, report, blobs)
            if live.keeping_checkpoint:  # what follows goes by it
                await asyncio.wait([live.keeping_checkpoint])
        finally:
            live.attempt = None
        assert attempt.end
        return attempt.end

    def _note(self, live: LiveJob, report: Report, blobs: HeldBlobs) -> None:
        match report:
            case Progressed():
                live.progressed(report)
            case Noticed():
                live.change(report)
            case Previewed():
                live.previewed(report)
            case Steered(number, step):
                job_id = live.job.id
                live.steerings[number] = replace(live.steerings[number], step=step)
                self._writer.write(lambda journal: journal.steered(job_id, number, step))
            case Checkpointed(step, blob):
                self._keep_checkpoint(live, StoredCheckpoint(step, blob.sha256, blob.size_bytes), blobs)

    def _keep_checkpoint(self, live: LiveJob, checkpoint: StoredCheckpoint, blobs: HeldBlobs) -> None:
        job_id = live.job.id

        def kept(_: None) -> None:
            live.checkpoint = checkpoint
            blobs.journaled(checkpoint.sha256)
            self._left_something()

        def refused(done: asyncio.Future[None]) -> None:
            if not done.cancelled() and isinstance(done.exception(), DiskFull):
                log.warning("job %s: the checkpoint of step %d could not be kept", job_id, checkpoint.step)
                if self._stopping:
                    return  # the next start removes its file
                discarding = asyncio.ensure_future(blobs.unwanted(checkpoint.sha256))
                self._tasks.add(discarding)
                discarding.add_done_callback(self._tasks.discard)

        written = self._writer.try_to_write(lambda journal: journal.keep_checkpoint(job_id, checkpoint), kept)
        written.add_done_callback(refused)
        live.keeping_checkpoint = written

    def _carry_out(self, live: LiveJob, verdict: Verdict) -> asyncio.Future[None]:
        if verdict.renders:
            blobs = self._storage.hold_for_attempt()
            self._run(live, lambda: self._render(live, blobs), blobs)
        if not verdict.bodies:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done
        return live.change(*verdict.bodies)

    async def _render(self, live: LiveJob, blobs: HeldBlobs) -> None:
        assert live.checkpoint
        spec = live.job.spec
        task = RenderTask(spec.content, spec.resolved, live.checkpoint.sha256, spec.result_format)
        async with self._rendering:
            for _try in range(_RENDERING_TRIES):
                live.attempt = self._engine.render(task, self._storage, blobs)
                end = await self._follow(live, live.attempt, blobs)
                if not isinstance(end, Lost):
                    break
                log.warning("job %s: its picture was not written: %s", live.job.id, end.message)
        await self._carry_out(live, after_rendering(end))

    def _task(self, live: LiveJob) -> Task:
        spec = live.job.spec
        return Task(
            content=spec.content,
            styles=tuple((style.sha256, style.weight) for style in spec.styles),
            recipe=spec.resolved,
            checkpoint=live.checkpoint.sha256 if live.checkpoint else None,
            begin_from=live.beginning,
            steerings=tuple(Steer(stored.number, stored.steering, stored.step) for stored in live.steerings.values()),
            checkpoint_interval_s=self._checkpoint_interval_s,
            result_format=spec.result_format,
            memory_deaths=live.job.deaths.of_memory,
        )


def _step(live: LiveJob) -> int | None:
    return live.checkpoint.step if live.checkpoint else None
