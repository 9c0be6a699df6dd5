"""An engine that does what a test says: workers join and leave, steps are made and attempts end when they are told."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from impasto_server.codec import ImageFacts
from impasto_server.engine import (
    Attempt,
    Blob,
    BlobSink,
    BlobSource,
    Cancel,
    Checkpointed,
    Command,
    DeviceInfo,
    Failed,
    Finished,
    Joined,
    Left,
    LinkLost,
    Losses,
    LostReason,
    Message,
    Picture,
    Presence,
    Progressed,
    RenderTask,
    Report,
    Starting,
    Steer,
    Steered,
    Task,
    WorkerInfo,
)
from impasto_server.engine.local.link import brought

FACTS = ImageFacts("PNG", 64, 64, has_alpha=False)
SMALL_FACTS = ImageFacts("JPEG", 16, 16, has_alpha=False)


def step(number: int, *, scale: int = 1, ends_scale: bool = False) -> Progressed:
    """Progress, as engines report it."""
    return Progressed(scale, 2, number, 999, 64, 64, Losses(1, 2, 3, 6), 1.0, 8.0, ends_scale)


@dataclass
class ScriptedLink:
    """One attempt's way to its worker. What the worker says is put into `says`."""

    worker_id: str
    sink: BlobSink
    source: BlobSource
    says: asyncio.Queue[Message | LinkLost] = field(default_factory=asyncio.Queue)
    told: list[Task | RenderTask | Command] = field(default_factory=list)
    step: int = 0
    broken_off: bool = False
    closed: bool = False
    over: bool = False
    """The worker has said its last word, though it may not have been heard yet."""

    @property
    def task(self) -> Task | RenderTask | None:
        """What it was given to do, as soon as it was."""
        return next((one for one in self.told if isinstance(one, Task | RenderTask)), None)

    @property
    def cancelled(self) -> bool:
        """Whether it was told to end."""
        return any(isinstance(one, Cancel) for one in self.told)

    async def open(self) -> None: ...

    def send(self, message: Task | RenderTask | Command) -> None:
        assert not self.closed
        if isinstance(message, Task | RenderTask):
            for blob in message.blobs:
                assert self.source.path(blob).exists(), f"{blob} is needed and isn't there"
            if isinstance(message, Task) and message.checkpoint:
                self.step = int(self.source.path(message.checkpoint).read_bytes().split()[1])
        self.told.append(message)

    async def receive(self) -> Message:
        said = await self.says.get()
        if isinstance(said, LinkLost):
            raise said
        return said

    async def bring(self, message: Report | Finished) -> Report | Finished:
        match message:
            case Checkpointed(_, blob):
                return replace(message, blob=await self.sink.adopt(blob))
            case Finished(_, _, picture) if picture:
                return replace(message, picture=await brought(picture, self.sink))
        return message

    async def break_off(self) -> None:
        self.broken_off = True

    async def close(self) -> None:
        self.closed = True

    def written(self, data: bytes) -> Blob:
        """A file that the worker has written."""
        path = self.sink.scratch_path()
        path.write_bytes(data)
        return Blob(hashlib.sha256(data).hexdigest(), len(data), path)

    # What a test has the worker do

    def make_step(self, number: int | None = None) -> None:
        """A step, and its progress."""
        self.step = self.step + 1 if number is None else number
        self.says.put_nowait(step(self.step))

    def checkpoint(self, salt: bytes = b"") -> None:
        """A checkpoint of the latest step."""
        self.says.put_nowait(Checkpointed(self.step, self.written(b"checkpoint %d %s" % (self.step, salt))))

    def take_steers(self) -> None:
        """The changes of weights that were told take effect."""
        for steer in [one for one in self.told if isinstance(one, Steer)]:
            self.told.remove(steer)
            self.says.put_nowait(Steered(steer.number, self.step + 1))

    def finish(self, *, partial: bool, data: bytes = b"a picture") -> None:
        """The end of the task, with a picture if a step was made."""
        self.over = True
        painted = self.step or isinstance(self.task, RenderTask)
        small = Picture(self.written(b"small " + data), SMALL_FACTS) if painted else None
        picture = Picture(self.written(data), FACTS, small) if painted else None
        self.says.put_nowait(Finished(self.step, partial, picture))

    def fail(self, reason: str = "DIVERGED") -> None:
        """The end of the task, without a picture."""
        self.over = True
        self.says.put_nowait(Failed(reason, "It can't be painted"))

    def lose(self, reason: LostReason, message: str = "The worker on here crashed") -> None:
        """The worker's own end."""
        self.over = True
        self.says.put_nowait(LinkLost(reason, message))


class ScriptedEngine:
    """`links` are those of attempts that haven't ended, the oldest first."""

    def __init__(self, *worker_ids: str, renders_by_itself: bool = True) -> None:
        self._first = worker_ids
        self._renders_by_itself = renders_by_itself
        self._tell: Callable[[Presence], None] = lambda _: None
        self.attempts: list[tuple[Attempt, ScriptedLink]] = []
        self.stopped = False

    async def start(self, tell: Callable[[Presence], None]) -> None:
        self._tell = tell
        for worker_id in self._first:
            tell(Starting(worker_id))
            self.join(worker_id)

    async def stop(self) -> None:
        self.stopped = True

    def join(self, worker_id: str) -> None:
        """A worker is ready. Its device is called like it, without what follows a `#`."""
        device = DeviceInfo(worker_id.partition("#")[0], "a script")
        self._tell(Joined(WorkerInfo(worker_id, "here", device)))

    def leave(self, worker_id: str) -> None:
        """A worker is away, and the attempt that it was at."""
        for link in self.links:
            if link.worker_id == worker_id:
                link.lose("gone", "Its machine is away")
        self._tell(Left(worker_id, "its machine is away"))

    def begin(self, worker_id: str, task: Task, source: BlobSource, sink: BlobSink) -> Attempt:
        assert worker_id not in {link.worker_id for link in self.links}, "one attempt at a time"
        return self._attempt(task, ScriptedLink(worker_id, sink, source))

    def render(self, task: RenderTask, source: BlobSource, sink: BlobSink) -> Attempt:
        link = ScriptedLink("", sink, source)
        if self._renders_by_itself:
            link.step = int(source.path(task.checkpoint).read_bytes().split()[1])
            link.told.append(task)
            link.finish(partial=True)
            link.told.clear()
        return self._attempt(task, link)

    def _attempt(self, task: Task | RenderTask, link: ScriptedLink) -> Attempt:
        attempt = Attempt(task, link)
        self.attempts.append((attempt, link))
        return attempt

    @property
    def links(self) -> list[ScriptedLink]:
        """Of the attempts that haven't ended."""
        return [link for attempt, link in self.attempts if attempt.end is None]

    async def link(self) -> ScriptedLink:
        """Of the oldest attempt that isn't over, as soon as it has its task."""
        async with asyncio.timeout(20):
            while True:
                if found := [link for link in self.links if link.task and not link.over]:
                    return found[0]
                await asyncio.sleep(0.002)


def put_blob(folder: Path, data: bytes) -> tuple[str, Path]:
    """A file to be taken in, and its hash."""
    path = folder / os.urandom(8).hex()
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest(), path
