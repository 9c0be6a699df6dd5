"""An attempt as a state machine on a scripted way to its worker: what crosses that, in which phase, and how it ends."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from impasto_server import recipes
from impasto_server.codec import ImageFacts
from impasto_server.engine import (
    Alive,
    Attempt,
    Blob,
    Cancel,
    Checkpointed,
    Command,
    End,
    Failed,
    Finished,
    LinkLost,
    Lost,
    Message,
    Noticed,
    Phase,
    Picture,
    PreviewRequest,
    PreviewSpec,
    RenderTask,
    Report,
    Steer,
    Steering,
    Task,
)

TASK = Task("content", (("style", 1.0),), recipes.RECIPES["draft"])
STEERS = tuple(Steer(number, Steering(style_weight=float(number))) for number in (1, 2, 3))
PREVIEWS = PreviewRequest(frozenset({PreviewSpec(max_size_px=32)}))
NOTICE = Noticed("TILES_SMALLER", "Smaller tiles.")
CHECKPOINT = Checkpointed(3, Blob("checkpoint", 10))
PICTURE = Picture(Blob("picture", 20), ImageFacts("PNG", 4, 3, has_alpha=False))
WHOLE = Finished(9, partial=False, picture=PICTURE)
PARTIAL = Finished(3, partial=True, picture=PICTURE)
NEVER_READY = LinkLost("never_ready", "The worker on here is not there")
CRASHED = LinkLost("crashed", "The worker on here crashed (SIGSEGV)")
FULL_DISK = OSError(errno.ENOSPC, "No space left on device")


class ScriptedLink:
    """Says what the test has it say, and remembers what was asked of it."""

    def __init__(self) -> None:
        self.sent: list[Task | RenderTask | Command] = []
        self.calls: list[str] = []
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.says: asyncio.Queue[Message | LinkLost] = asyncio.Queue()
        self.brings: Exception | None = None

    async def open(self) -> None:
        self.calls.append("open")
        await self.opened

    def send(self, message: Task | RenderTask | Command) -> None:
        assert "close" not in self.calls, f"{message} was said after the end"
        self.sent.append(message)

    async def receive(self) -> Message:
        message = await self.says.get()
        if isinstance(message, LinkLost):
            raise message
        return message

    async def bring(self, message: Report | Finished) -> Report | Finished:
        if self.brings and isinstance(message, Checkpointed | Finished):
            raise self.brings
        return message

    async def break_off(self) -> None:
        self.calls.append("break off")

    async def close(self) -> None:
        self.calls.append("close")


class Scene:
    """An attempt on a scripted link, and a reader who reads it to its end."""

    def __init__(self, silence_s: float = 60.0) -> None:
        self.link = ScriptedLink()
        self.attempt = Attempt(TASK, self.link, silence_s=silence_s)
        self.reports: list[Report] = []
        self.phases: list[Phase] = []
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for report in self.attempt.reports():
            self.reports.append(report)

    async def starting(self) -> None:
        await settled()
        assert self.attempt.phase is Phase.STARTING

    async def painting(self) -> None:
        await self.starting()
        self.link.opened.set_result(None)
        await settled()
        assert self.attempt.phase is Phase.PAINTING

    async def ending(self) -> None:
        await self.painting()
        self.attempt.cancel()
        assert self.attempt.phase is Phase.ENDING

    async def say(self, *messages: Message | LinkLost) -> None:
        for message in messages:
            self.link.says.put_nowait(message)
        await settled()

    async def end(self) -> End:
        """How it ended, once it has. Says everything to it that can be said: it is nobody's."""
        async with asyncio.timeout(10):
            await self.reading
        assert self.attempt.phase is Phase.ENDED
        assert self.link.calls[-1] == "close"
        assert self.link.calls.count("close") == 1
        end, sent = self.attempt.end, list(self.link.sent)
        assert end
        self.attempt.cancel()
        self.attempt.steer(STEERS[0])
        self.attempt.show(PREVIEWS)
        await settled()
        assert (self.attempt.end, self.attempt.phase, self.link.sent) == (end, Phase.ENDED, sent)
        return end

    @property
    def broke_off(self) -> bool:
        return "break off" in self.link.calls


async def settled() -> None:
    """Until nobody has anything to do but wait."""
    for _ in range(10):
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Ending:
    """What is said in the last phases, and what comes of it."""

    said: tuple[Message | LinkLost, ...]
    end: End
    brings: Exception | None = None


ENDINGS = {
    "the worker finishes": Ending((Alive(), WHOLE), WHOLE),
    "the worker ends with a part of it": Ending((PARTIAL,), PARTIAL),
    "the worker ends without a picture": Ending((Finished(0, True, None),), Finished(0, True, None)),
    "the worker fails": Ending((Failed("DIVERGED", "Lost in numbers."),), Failed("DIVERGED", "Lost in numbers.")),
    "the link is lost": Ending((CRASHED,), Lost("crashed", str(CRASHED))),
    "the worker is killed": Ending((LinkLost("out_of_memory", "killed"),), Lost("out_of_memory", "killed")),
    "the picture can't be kept": Ending(
        (WHOLE,),
        Failed(
            "DISK_FULL",
            "The picture could not be kept: No space left on device. Free some space and continue the job.",
        ),
        FULL_DISK,
    ),
    "the picture can't be kept, and nobody knows why": Ending(
        (WHOLE,),
        Failed("DISK_FULL", "The picture could not be kept: no idea. Free some space and continue the job."),
        OSError("no idea"),
    ),
    "the link is lost while the picture is brought": Ending(
        (WHOLE,), Lost("gone", "The way is cut"), LinkLost("gone", "The way is cut")
    ),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
@pytest.mark.parametrize("phase", ["painting", "ending"])
async def test_an_attempt_ends_as_its_worker_says_once_and_nothing_is_broken_off(phase: str, ending: Ending) -> None:
    scene = Scene()
    await getattr(scene, phase)()
    scene.link.brings = ending.brings
    await scene.say(*ending.said)
    assert await scene.end() == ending.end
    assert not scene.broke_off
    assert scene.link.sent == ([TASK, Cancel()] if phase == "ending" else [TASK])


async def test_what_a_worker_says_after_its_end_is_nobody_s() -> None:
    scene = Scene()
    await scene.painting()
    await scene.say(NOTICE, WHOLE, CHECKPOINT, PARTIAL, CRASHED)
    assert await scene.end() == WHOLE
    assert scene.reports == [NOTICE]


async def test_reports_come_in_order_and_signs_of_life_are_not_among_them() -> None:
    scene = Scene()
    await scene.painting()
    await scene.say(Alive(), NOTICE, Alive(), CHECKPOINT, NOTICE, Alive())
    assert scene.reports == [NOTICE, CHECKPOINT, NOTICE]
    scene.attempt.cancel()
    await scene.say(NOTICE, PARTIAL)
    assert await scene.end() == PARTIAL
    assert scene.reports == [NOTICE, CHECKPOINT, NOTICE, NOTICE]


async def test_a_worker_that_is_not_there_ends_an_attempt_that_has_not_begun() -> None:
    scene = Scene()
    await scene.starting()
    scene.link.opened.set_exception(NEVER_READY)
    assert await scene.end() == Lost("never_ready", str(NEVER_READY))
    assert scene.link.sent == []
    assert not scene.broke_off


async def test_an_attempt_that_is_cancelled_while_it_starts_ends_before_it_has_begun() -> None:
    scene = Scene()
    await scene.starting()
    scene.attempt.steer(STEERS[0])
    scene.attempt.cancel()
    scene.attempt.cancel()
    assert await scene.end() == Lost("gone", "The attempt was cancelled before it had begun")
    assert scene.link.opened.cancelled()
    assert scene.link.sent == []
    assert not scene.broke_off


async def test_an_attempt_that_is_cancelled_before_anybody_reads_it_never_starts() -> None:
    scene = Scene()
    scene.attempt.cancel()
    assert await scene.end() == Lost("gone", "The attempt was cancelled before it had begun")
    assert scene.link.calls == ["close"]
    assert scene.link.sent == []


async def test_a_cancel_that_crosses_a_worker_getting_ready_sends_it_nothing() -> None:
    scene = Scene()
    await scene.starting()
    scene.link.opened.set_result(None)
    scene.attempt.cancel()
    assert await scene.end() == Lost("gone", "The attempt was cancelled before it had begun")
    assert scene.link.sent == []


async def test_a_cancel_that_crosses_a_worker_dying_ends_the_attempt_once() -> None:
    scene = Scene()
    await scene.starting()
    scene.link.opened.set_exception(NEVER_READY)
    scene.attempt.cancel()
    assert isinstance(await scene.end(), Lost)


async def test_what_is_said_while_the_worker_starts_reaches_it_after_its_task_and_in_order() -> None:
    scene = Scene()
    await scene.starting()
    scene.attempt.steer(STEERS[0])
    scene.attempt.show(PREVIEWS)
    scene.attempt.steer(STEERS[1])
    assert scene.link.sent == []
    scene.link.opened.set_result(None)
    await settled()
    scene.attempt.steer(STEERS[2])
    assert scene.link.sent == [TASK, STEERS[0], PREVIEWS, STEERS[1], STEERS[2]]
    await scene.say(WHOLE)
    assert await scene.end() == WHOLE


async def test_what_is_said_before_anybody_reads_reaches_the_worker_too() -> None:
    scene = Scene()
    scene.attempt.show(PREVIEWS)
    scene.attempt.steer(STEERS[0])
    await scene.painting()
    assert scene.link.sent == [TASK, PREVIEWS, STEERS[0]]
    await scene.say(WHOLE)
    await scene.end()


async def test_after_a_cancel_nothing_more_is_said_to_the_worker() -> None:
    scene = Scene()
    await scene.ending()
    scene.attempt.steer(STEERS[0])
    scene.attempt.show(PREVIEWS)
    scene.attempt.cancel()
    assert scene.link.sent == [TASK, Cancel()]
    await scene.say(CHECKPOINT, PARTIAL)
    assert await scene.end() == PARTIAL
    assert scene.reports == [CHECKPOINT]
    assert scene.link.sent == [TASK, Cancel()]


@pytest.mark.parametrize("phase", ["painting", "ending"])
async def test_a_silent_worker_is_broken_off(phase: str) -> None:
    scene = Scene(silence_s=0.05)
    await scene.starting()
    await getattr(scene, phase)()
    assert await scene.end() == Lost("crashed", "The worker gave no sign of life for 0.05 s and was ended")
    assert scene.link.calls == ["open", "break off", "close"]


async def test_a_start_may_take_as_long_as_it_takes() -> None:
    """Here nothing computes yet; how long a process may be silent at its start is the engine's own affair."""
    scene = Scene(silence_s=0.05)
    await scene.starting()
    await asyncio.sleep(0.2)
    scene.link.opened.set_result(None)
    await scene.say(WHOLE)
    assert await scene.end() == WHOLE


async def test_signs_of_life_keep_a_worker_whatever_else_it_says() -> None:
    scene = Scene(silence_s=1.0)
    await scene.ending()
    for _ in range(15):
        await asyncio.sleep(0.1)
        await scene.say(Alive())
    assert scene.attempt.phase is Phase.ENDING
    await scene.say(PARTIAL)
    assert await scene.end() == PARTIAL


async def test_a_checkpoint_that_cannot_be_kept_is_not_reported_and_ends_nothing() -> None:
    scene = Scene()
    await scene.painting()
    scene.link.brings = FULL_DISK
    await scene.say(CHECKPOINT, NOTICE)
    scene.link.brings = None
    await scene.say(CHECKPOINT, WHOLE)
    assert await scene.end() == WHOLE
    assert scene.reports == [NOTICE, CHECKPOINT]


async def test_a_link_that_is_lost_while_a_checkpoint_is_brought_ends_the_attempt() -> None:
    scene = Scene()
    await scene.painting()
    scene.link.brings = LinkLost("gone", "The way is cut")
    await scene.say(CHECKPOINT, WHOLE)
    assert await scene.end() == Lost("gone", "The way is cut")
    assert scene.reports == []


@pytest.mark.parametrize("phase", ["starting", "painting", "ending"])
async def test_a_reader_that_goes_away_breaks_the_worker_off(phase: str) -> None:
    scene = Scene()
    await getattr(scene, phase)()
    scene.reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scene.end()
    sent = list(scene.link.sent)
    assert (scene.attempt.phase, scene.attempt.end) == (Phase.ENDED, Lost("gone", "The attempt was given up"))
    assert scene.link.calls == ["open", "break off", "close"]
    scene.attempt.steer(STEERS[0])
    scene.attempt.cancel()
    assert scene.link.sent == sent
    if phase == "starting":
        assert scene.link.opened.cancelled()


@pytest.mark.parametrize("cancel", [lambda attempt: None, Attempt.cancel], ids=["painting", "ending"])
async def test_closing_the_generator_breaks_the_worker_off(cancel: Callable[[Attempt], None]) -> None:
    link = ScriptedLink()
    link.opened.set_result(None)
    attempt = Attempt(TASK, link)
    reports = attempt.reports()
    link.says.put_nowait(NOTICE)
    assert await anext(reports) == NOTICE
    cancel(attempt)
    await reports.aclose()
    assert (attempt.phase, attempt.end) == (Phase.ENDED, Lost("gone", "The attempt was given up"))
    assert link.calls == ["open", "break off", "close"]


async def test_a_generator_that_is_closed_after_the_end_breaks_nothing_off() -> None:
    link = ScriptedLink()
    link.opened.set_result(None)
    attempt = Attempt(TASK, link)
    reports = attempt.reports()
    link.says.put_nowait(WHOLE)
    assert [report async for report in reports] == []
    await reports.aclose()
    assert attempt.end == WHOLE
    assert link.calls == ["open", "close"]
