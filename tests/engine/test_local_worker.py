"""Worker processes of this machine: how their attempts end, what dies with them, and who comes after them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from impasto_server import recipes
from impasto_server.engine import (
    Attempt,
    Blob,
    Checkpointed,
    End,
    Finished,
    Joined,
    Left,
    LocalEngine,
    Lost,
    Phase,
    Presence,
    Progressed,
    RenderTask,
    Report,
    Starting,
    Task,
)
from impasto_server.engine.local import device_worker

_NONSENSE = """
import os, sys, time

if any("engine.local.worker" in argument for argument in sys.orig_argv):
    os.write(1, (4).to_bytes(8, "little") + b"junk")
    time.sleep(600)
"""
# Imported by the worker's Python at its start: while the file is there its device is beyond help, as after an illegal
# memory access, and whatever it is asked raises.
_BROKEN = """
import sys
from pathlib import Path

if any("engine.local.worker" in argument for argument in sys.orig_argv):
    from impasto_server import nst
    from impasto_server.nst.recorder import Recorder

    flag, step = Path({flag!r}), Recorder.step

    def failing(self, weights):
        if flag.exists() and self._steps_made == 2:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return step(self, weights)

    Recorder.step = failing
    nst.is_alive = lambda device: not flag.exists()
"""
# One device's processes end before they have said anything.
_STILLBORN = """
import os, sys

if "cuda:7" in sys.orig_argv:
    os._exit(3)
"""
SHORT = recipes.customise("draft", {"size_px": 48, "steps": 4, "coarsest_px": 48})
LONG = recipes.customise("draft", {"size_px": 48, "steps": 10_000, "coarsest_px": 48})


class Storage:
    """A folder that blobs are taken from and brought to."""

    def __init__(self, folder: Path) -> None:
        self._scratch, self._blobs = folder / "scratch", folder / "blobs"
        self._scratch.mkdir()
        self._blobs.mkdir()

    def path(self, sha256: str) -> Path:
        return self._blobs / sha256

    def scratch_path(self) -> Path:
        return self._scratch / uuid.uuid4().hex

    async def adopt(self, blob: Blob) -> Blob:
        assert blob.path
        blob.path.rename(self.path(blob.sha256))
        return replace(blob, path=None)

    @property
    def scratch_folders(self) -> Sequence[Path]:
        """Of attempts that write."""
        return list(self._scratch.iterdir())


class Told:
    """What an engine tells of its workers, in order, with the time of each."""

    def __init__(self) -> None:
        self.all: list[tuple[float, Presence]] = []
        self._more = asyncio.Event()

    def __call__(self, presence: Presence) -> None:
        self.all.append((asyncio.get_running_loop().time(), presence))
        self._more.set()

    def of(self, kind: type[Presence]) -> list[Presence]:
        return [presence for _, presence in self.all if isinstance(presence, kind)]

    async def until(self, kind: type[Presence], times: int = 1) -> None:
        """Waits until it was told that often."""
        while len(self.of(kind)) < times:
            self._more.clear()
            await self._more.wait()


class Following:
    """An attempt that is read to its end by a task of its own."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.reports: list[Report] = []
        self._more = asyncio.Event()
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async with aclosing(self.attempt.reports()) as reports:
            async for report in reports:
                self.reports.append(report)
                self._more.set()
        self._more.set()

    async def until(self, kind: type[Report]) -> Report:
        """Waits for a report."""
        while not (found := [report for report in self.reports if isinstance(report, kind)]):
            assert not self.reading.done(), self.attempt.end
            self._more.clear()
            await self._more.wait()
        return found[-1]

    async def end(self) -> End:
        await self.reading
        assert self.attempt.end
        return self.attempt.end


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    found = Storage(tmp_path)
    Image.fromarray(data.coffee()[::8, ::8]).save(found.path("photo"), "PNG")
    return found


@pytest.fixture
def task() -> Task:
    return Task("photo", (("photo", 1.0),), SHORT, checkpoint_interval_s=0.2)


@pytest.fixture
def long(task: Task) -> Task:
    return replace(task, recipe=LONG)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def python_starts_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has code executed at the start of every Python."""

    def put(code: str) -> None:
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "sitecustomize.py").write_text(code)
        paths = [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))

    return put


@asynccontextmanager
async def running(*devices: str, silence_s: float = 60.0) -> AsyncIterator[tuple[LocalEngine, Told]]:
    """An engine whose first worker is ready. No process of it stays."""
    engine, told = LocalEngine(devices or ("cpu",), silence_s=silence_s), Told()
    await engine.start(told)
    try:
        await told.until(Joined)
        yield engine, told
    finally:
        await engine.stop()
    assert processes() == []


def processes() -> list[int]:
    """Of workers, that this process has started."""
    children = [
        int(child)
        for thread in Path("/proc/self/task").iterdir()
        for child in (thread / "children").read_text().split()
    ]
    return [child for child in children if b"engine.local.worker" in _command_line(child)]


async def process_beside(*known: int) -> int:
    """The next one that is started."""
    while True:
        if others := [process for process in processes() if process not in known]:
            return others[0]
        await asyncio.sleep(0.01)


def _command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


async def test_a_cancel_right_after_the_beginning_ends_the_attempt_and_leaves_its_process(
    task: Task, long: Task, storage: Storage
) -> None:
    """Whether it comes before the task was sent, with it, or just after."""
    async with running() as (engine, told):
        before = processes()
        first = engine.begin("cpu", long, storage, storage)
        first.cancel()
        assert await Following(first).end() == Lost("gone", "The attempt was cancelled before it had begun")
        for moments in range(8):
            attempt = engine.begin("cpu", long, storage, storage)
            following = Following(attempt)
            for _ in range(moments):
                await asyncio.sleep(0)
            attempt.cancel()
            match await following.end():
                case Finished(step, partial, picture):
                    assert partial
                    assert (picture is None) == (step == 0)
                case end:
                    assert end == Lost("gone", "The attempt was cancelled before it had begun")
            assert storage.scratch_folders == []
        assert isinstance(attempt.end, Finished), "the last cancel came after the task"
        end = await Following(engine.begin("cpu", task, storage, storage)).end()
        assert isinstance(end, Finished)
        assert (end.step, end.partial) == (4, False)
        assert processes() == before
        assert len(told.of(Joined)) == 1
        assert told.of(Left) == []


async def test_a_worker_that_is_not_ready_is_given_nothing(task: Task, storage: Storage) -> None:
    engine, told = LocalEngine(["cpu"]), Told()
    await engine.start(told)
    try:
        await process_beside()
        end = await Following(engine.begin("cpu", task, storage, storage)).end()
        assert end == Lost("never_ready", "The worker on cpu is not there")
    finally:
        await engine.stop()
    assert processes() == []


async def test_a_process_whose_device_is_lost_ends_and_the_next_one_goes_on(
    task: Task, storage: Storage, tmp_path: Path, python_starts_with: Callable[[str], None]
) -> None:
    flag = tmp_path / "broken"
    python_starts_with(_BROKEN.format(flag=str(flag)))
    async with running() as (engine, told):
        flag.touch()
        end = await Following(engine.begin("cpu", task, storage, storage)).end()
        assert end == Lost("crashed", "The worker on cpu lost its device")
        flag.unlink()
        await told.until(Joined, 2)
        end = await Following(engine.begin("cpu", task, storage, storage)).end()
        assert isinstance(end, Finished)
        assert (end.step, end.partial) == (4, False)
        assert end.picture
        assert storage.path(end.picture.blob.sha256).exists()
        assert storage.scratch_folders == []


async def test_a_process_that_is_killed_is_told_from_one_that_crashes_and_each_has_a_successor(
    task: Task, long: Task, storage: Storage
) -> None:
    async with running() as (engine, told):
        for deaths, (how, end) in enumerate(
            [
                (signal.SIGKILL, Lost("out_of_memory", "The worker on cpu was killed")),
                (signal.SIGABRT, Lost("crashed", "The worker on cpu crashed (SIGABRT)")),
            ],
            start=1,
        ):
            following = Following(engine.begin("cpu", long, storage, storage))
            kept = await following.until(Checkpointed)
            assert isinstance(kept, Checkpointed)
            assert storage.path(kept.blob.sha256).exists()
            assert len(storage.scratch_folders) == 1
            (process,) = processes()
            os.kill(process, how)
            assert await following.end() == end
            assert storage.scratch_folders == []
            await told.until(Joined, deaths + 1)
            assert len(told.of(Left)) == deaths
            assert process not in processes()
        assert isinstance(await Following(engine.begin("cpu", task, storage, storage)).end(), Finished)


async def test_a_process_that_stands_still_is_ended_and_another_one_is_ready_afterwards(
    task: Task, long: Task, storage: Storage
) -> None:
    async with running(silence_s=5.0) as (engine, told):
        following = Following(engine.begin("cpu", long, storage, storage))
        await following.until(Progressed)
        (process,) = processes()
        joined = len(told.of(Joined))
        os.kill(process, signal.SIGSTOP)
        following.attempt.cancel()  # nobody hears it
        assert await following.end() == Lost("crashed", "The worker gave no sign of life for 5 s and was ended")
        assert process not in processes()
        assert storage.scratch_folders == []
        await told.until(Joined, joined + 1)
        assert isinstance(await Following(engine.begin("cpu", task, storage, storage)).end(), Finished)


async def test_a_reader_that_goes_away_ends_the_process_and_another_one_takes_its_place(
    task: Task, long: Task, storage: Storage
) -> None:
    async with running() as (engine, told):
        following = Following(engine.begin("cpu", long, storage, storage))
        await following.until(Progressed)
        (process,) = processes()
        following.reading.cancel()
        await asyncio.wait([following.reading])
        assert following.attempt.phase is Phase.ENDED
        assert following.attempt.end == Lost("gone", "The attempt was given up")
        assert process not in processes()
        assert storage.scratch_folders == []
        await told.until(Joined, 2)
        assert isinstance(await Following(engine.begin("cpu", task, storage, storage)).end(), Finished)


async def test_a_device_whose_processes_die_at_their_start_is_left_alone_for_longer_and_longer(
    task: Task, storage: Storage, monkeypatch: pytest.MonkeyPatch, python_starts_with: Callable[[str], None]
) -> None:
    """And keeps no other one waiting."""
    monkeypatch.setattr(device_worker, "FIRST_PAUSE_S", 0.25)
    python_starts_with(_STILLBORN)
    async with running("cuda:7", "cpu") as (engine, told):
        assert [joined.worker.id for joined in told.of(Joined) if isinstance(joined, Joined)] == ["cpu"]
        assert isinstance(await Following(engine.begin("cpu", task, storage, storage)).end(), Finished)
        await told.until(Left, 4)
        assert set(told.of(Left)) == {Left("cuda:7", "The worker on cuda:7 ended unexpectedly with status 3")}
        end = await Following(engine.begin("cuda:7", task, storage, storage)).end()
        assert end == Lost("never_ready", "The worker on cuda:7 is not there")
    of_it = [(at, presence) for at, presence in told.all if presence in (Starting("cuda:7"), *told.of(Left))]
    assert {type(after) for (_, before), (_, after) in pairwise(of_it) if isinstance(before, Left)} == {Starting}
    pauses = [after - at for (at, before), (after, _) in pairwise(of_it) if isinstance(before, Left)]
    assert all(pause >= 0.25 * 2**index for index, pause in enumerate(pauses)), pauses
    assert len(pauses) >= 3


async def test_a_process_that_cannot_be_started_is_tried_again(
    task: Task, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when memory is short for a while."""
    monkeypatch.setattr(device_worker, "FIRST_PAUSE_S", 0.1)
    engine, told = LocalEngine(["cpu"]), Told()
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", str(tmp_path / "nothing"))
        await engine.start(told)
        await told.until(Left, 2)
        rendering = Following(engine.render(RenderTask("photo", SHORT, "none"), storage, storage))
        end = await rendering.end()
    try:
        assert isinstance(end, Lost)
        assert end.reason == "never_ready"
        assert "could not be started: " in end.message
        left = told.of(Left)[0]
        assert isinstance(left, Left)
        assert left.why.startswith("The worker on cpu could not be started: [Errno 2]")
        await told.until(Joined)
        assert isinstance(await Following(engine.begin("cpu", task, storage, storage)).end(), Finished)
    finally:
        await engine.stop()
    assert processes() == []


async def test_a_checkpoint_is_rendered_by_a_process_of_its_own_while_the_worker_paints(
    long: Task, storage: Storage
) -> None:
    async with running() as (engine, _):
        (worker,) = processes()
        cancelled = Following(engine.begin("cpu", long, storage, storage))
        await cancelled.until(Progressed)
        cancelled.attempt.cancel()
        partial = await cancelled.end()
        assert isinstance(partial, Finished)
        assert partial.picture
        kept = latest(cancelled.reports)
        assert kept.step == partial.step
        picture = storage.path(partial.picture.blob.sha256).read_bytes()
        storage.path(partial.picture.blob.sha256).unlink()

        beside = Following(engine.begin("cpu", long, storage, storage))
        await beside.until(Progressed)
        task = RenderTask("photo", LONG, kept.blob.sha256)
        rendered = Following(engine.render(task, storage, storage))
        assert await rendered.end() == partial
        assert storage.path(partial.picture.blob.sha256).read_bytes() == picture
        assert processes() == [worker]

        killed = Following(engine.render(task, storage, storage))
        os.kill(await process_beside(worker), signal.SIGKILL)
        end = await killed.end()
        assert end == Lost("never_ready", "The worker on this machine's processor was killed")

        assert beside.attempt.phase is Phase.PAINTING
        beside.attempt.cancel()
        assert isinstance(await beside.end(), Finished)
        assert storage.scratch_folders == []


async def test_a_rendering_that_is_cancelled_or_given_up_while_it_starts_leaves_no_process(storage: Storage) -> None:
    engine = LocalEngine(())
    task = RenderTask("photo", SHORT, "none")
    cancelled = Following(engine.render(task, storage, storage))
    await process_beside()
    cancelled.attempt.cancel()
    assert await cancelled.end() == Lost("gone", "The attempt was cancelled before it had begun")
    assert processes() == []

    given_up = Following(engine.render(task, storage, storage))
    await process_beside()
    given_up.reading.cancel()
    await asyncio.wait([given_up.reading])
    assert given_up.attempt.end == Lost("gone", "The attempt was given up")
    assert processes() == []


def latest(reports: Sequence[Report]) -> Checkpointed:
    """The newest checkpoint."""
    return [report for report in reports if isinstance(report, Checkpointed)][-1]


async def test_a_process_that_ends_by_a_signal_without_a_name_has_crashed_like_any_other(
    task: Task, long: Task, storage: Storage
) -> None:
    async with running() as (engine, told):
        following = Following(engine.begin("cpu", long, storage, storage))
        await following.until(Progressed)
        (process,) = processes()
        os.kill(process, signal.SIGRTMIN + 3)
        async with asyncio.timeout(30):
            assert await following.end() == Lost("crashed", f"The worker on cpu crashed (signal {signal.SIGRTMIN + 3})")
        await told.until(Joined, 2)
        assert isinstance(await Following(engine.begin("cpu", task, storage, storage)).end(), Finished)


async def test_a_process_that_talks_nonsense_is_ended(
    storage: Storage, python_starts_with: Callable[[str], None]
) -> None:
    python_starts_with(_NONSENSE)
    engine = LocalEngine([])
    await engine.start(Told())
    async with asyncio.timeout(60):
        end = await Following(engine.render(RenderTask("photo", SHORT, "none"), storage, storage)).end()
    assert isinstance(end, Lost)
    await engine.stop()
    assert processes() == []
