"""Events for a reader: a live line in a terminal, plain lines in a log, JSON for a program."""

import json
import sys
import time
from typing import Any, Protocol, Self

import click
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as ProgressBar
from rich.text import Text

from impasto._events import JobEvent, Notice, Preview, Progress, Reconnecting, Result, StateChanged

PLAIN_EVERY_S = 2.0


class Display(Protocol):
    """Shows what happens to one job."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def show(self, event: JobEvent) -> None: ...

    def say(self, text: str) -> None: ...


def choose_display(as_json: bool, title: str) -> Display:
    """The one that fits where the output goes."""
    if as_json:
        return JsonDisplay()
    console = Console(stderr=True)
    return LiveDisplay(console, title) if console.is_terminal else PlainDisplay()


class JsonDisplay:
    """One JSON object per event on stdout; words for people on stderr."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def show(self, event: JobEvent) -> None:
        """One line."""
        print_json(event_json(event))

    def say(self, text: str) -> None:
        """On stderr."""
        click.echo(text, err=True)


class PlainDisplay:
    """Lines on stderr, a step's now and then: for logs."""

    def __init__(self) -> None:
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def show(self, event: JobEvent) -> None:
        """A line for each change of state, and for a step every two seconds."""
        match event:
            case StateChanged():
                self.say(state_text(event))
            case Reconnecting():
                self.say(reconnecting_text(event))
            case Notice():
                self.say(event.message)
            case Progress() if time.monotonic() >= self._next or event.step == event.steps:
                self._next = time.monotonic() + PLAIN_EVERY_S
                self.say(
                    f"step {event.step}/{event.steps}, {scale_text(event)}, {losses_text(event)}, "
                    f"{rate_text(event)}, {left_text(event)}"
                )
            case _:
                pass

    def say(self, text: str) -> None:
        """On stderr."""
        click.echo(text, err=True)


class LiveDisplay:
    """Two lines in a terminal that follow the job: how far it is, and how it fares."""

    def __init__(self, console: Console, title: str) -> None:
        self._bar = ProgressBar(
            TextColumn("[bold]{task.description}"),
            # Not rich's own red, which looks like trouble.
            BarColumn(bar_width=None, complete_style="cyan", finished_style="cyan", pulse_style="cyan"),
            TextColumn("{task.fields[steps]}"),
            TextColumn("{task.fields[left]}"),
            expand=True,
        )
        self._task = self._bar.add_task(title, total=None, steps="", left="")
        self._detail = Text("waiting", style="dim", no_wrap=True, overflow="ellipsis")
        self._live = Live(Group(self._bar, self._detail), console=console, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def show(self, event: JobEvent) -> None:
        """Moves the bar."""
        match event:
            case StateChanged():
                self._detail.plain = state_text(event)
            case Reconnecting():
                self._detail.plain = reconnecting_text(event)
            case Notice():
                self.say(event.message)
            case Progress():
                self._bar.update(
                    self._task,
                    completed=event.step,
                    total=event.steps,
                    steps=f"{event.step}/{event.steps} steps",
                    left=left_text(event),
                )
                self._detail.plain = f"{scale_text(event)} · {losses_text(event)} · {rate_text(event)}"
            case _:
                pass

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._live.console.print(text, highlight=False, markup=False)


def state_text(event: StateChanged) -> str:
    """`queued, place 2`, `running on cpu`, …"""
    if event.queue_position > 1:
        return f"{event.state}, place {event.queue_position}"
    return f"{event.state} on {event.device}" if event.device else str(event.state)


def reconnecting_text(event: Reconnecting) -> str:
    """What a watcher is told while contact is lost; the reason only if it isn't found again at once."""
    reason = f" ({event.error})" if event.retry > 1 else ""
    return f"contact lost, the job goes on; try {event.retry} in {event.delay_s:.1f} s{reason}"


def scale_text(event: Progress) -> str:
    """`scale 2 of 4, 256 × 192 px`."""
    return f"scale {event.scale} of {event.scales}, {event.width_px} × {event.height_px} px"


def losses_text(event: Progress) -> str:
    """The terms of the objective."""
    losses = event.losses
    return f"content {losses.content:.4g}, style {losses.style:.4g}, tv {losses.tv:.4g}"


def rate_text(event: Progress) -> str:
    """`3.4 steps/s`."""
    return f"{event.steps_per_second:.1f} steps/s"


def left_text(event: Progress) -> str:
    """`1:05 left`."""
    seconds = round(event.seconds_left)
    return f"{seconds // 60}:{seconds % 60:02d} left"


def event_json(event: JobEvent) -> dict[str, Any]:
    """An event as `--json` prints it: type, sequence, time, attempt, and what is the type's own."""
    common: dict[str, Any] = {
        "sequence": event.sequence,
        "time": event.time.isoformat(),
        "attempt": event.attempt,
    }
    match event:
        case StateChanged():
            own: dict[str, Any] = {
                "type": "state",
                "state": str(event.state),
                "queue_position": event.queue_position,
                "device": event.device,
                "error": event.error and {"reason": event.error.reason, "message": event.error.message},
            }
        case Progress():
            own = {
                "type": "progress",
                "scale": event.scale,
                "scales": event.scales,
                "step": event.step,
                "steps": event.steps,
                "content": event.losses.content,
                "style": event.losses.style,
                "tv": event.losses.tv,
                "total": event.losses.total,
                "steps_per_second": event.steps_per_second,
                "seconds_left": event.seconds_left,
                "width_px": event.width_px,
                "height_px": event.height_px,
            }
        case Preview():
            own = {
                "type": "preview",
                "step": event.step,
                "scale": event.scale,
                "format": event.format,
                "width_px": event.width_px,
                "height_px": event.height_px,
                "size_bytes": len(event.data),
                "coalesced": event.coalesced,
            }
        case Result():
            own = {
                "type": "result",
                "image": event.stored.name,
                "partial": event.partial,
                "step": event.step,
                "width_px": event.stored.width_px,
                "height_px": event.stored.height_px,
            }
        case Notice():
            own = {"type": "notice", "reason": event.reason, "message": event.message}
        case Reconnecting():
            own = {
                "type": "reconnecting",
                "retry": event.retry,
                "delay_s": event.delay_s,
                "error": event.error,
            }
    return {"type": own.pop("type"), **common, **own}


def print_json(value: dict[str, Any]) -> None:
    """One line on stdout, at once: a program reads along. What isn't finite is null, as JSON has no NaN."""
    finite = {key: None if isinstance(v, float) and v - v != 0 else v for key, v in value.items()}
    sys.stdout.write(json.dumps(finite, allow_nan=False) + "\n")
    sys.stdout.flush()
