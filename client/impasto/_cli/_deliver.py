"""A job for the one who waits for it: queued, followed to its end, its picture written, or what there is of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from impasto._cli._display import Display, print_json
from impasto._cli._follow import follow
from impasto._cli._output import FORMATS, TIMELAPSE_FORMATS, check_output, result_suffix, write_picture, write_whole
from impasto._events import JobEvent, Preview
from impasto._exceptions import JobCancelledError
from impasto._images import decode
from impasto._job import Job
from impasto._requests import PreviewOptions

Command = TypeVar("Command", bound=Callable[..., Any])

FRAMES = PreviewOptions(max_size_px=1024, max_per_second=10, quality=92)


def frames_options(command: Command) -> Command:
    """`--save-frames` and `--timelapse`."""
    command = click.option(
        "--timelapse", type=click.Path(path_type=Path), metavar="FILE.gif|webp", help="Write an animation."
    )(command)
    return click.option(
        "--save-frames", type=click.Path(path_type=Path), metavar="DIR", help="Keep every preview there."
    )(command)


@dataclass(frozen=True, slots=True)
class Targets:
    """What is to be written where."""

    output: Path | None
    """None: the job's id, in this folder."""
    save_frames: Path | None
    timelapse: Path | None

    def check(self, sources: list[Path]) -> None:
        """Refuses, before any work is done, what could not be written afterwards."""
        if self.output is not None:
            check_output(self.output, FORMATS, sources, "--output")
            sources = [*sources, self.output]
        if self.timelapse is not None:
            check_output(self.timelapse, TIMELAPSE_FORMATS, sources, "--timelapse")
        if self.save_frames is not None:
            make_folder(self.save_frames)


def deliver(submit: Callable[[], Job], display: Display, targets: Targets, *, as_json: bool) -> int:
    """Queues a job, follows it to its end, writes its picture and says where it is. Returns the exit code."""
    with display:
        job = submit()
        frames = Frames(targets)
        interrupted = follow(job, display, frames.options, frames.take)
        path = write_result(job, targets.output, interrupted)
        frames.finish(path)
    for kind, written in (("picture", path), ("timelapse", targets.timelapse)):
        if written is not None and written.exists():
            if as_json:
                print_json({"type": "saved", "kind": kind, "path": str(written), "job": job.name})
            else:
                click.echo(str(written))
    if interrupted:
        click.echo(
            f"impasto: interrupted; the picture so far is in {path}."
            if path
            else "impasto: interrupted before the first step; there is no picture.",
            err=True,
        )
        return 130
    return 0


def write_result(job: Job, output: Path | None, interrupted: bool) -> Path | None:
    """Writes the finished picture, or the partial one beside its name. None if there is none."""
    try:
        data = job.result_bytes()
        output = output or own_path(job)
        write_picture(data, output)
    except JobCancelledError as error:
        if error.partial is None:
            if interrupted:
                return None
            raise
        output = output or own_path(job)
        output = output.with_name(f"{output.stem}-partial{output.suffix}")
        write_picture(job.partial_bytes(), output)
        if not interrupted:
            error.message = f"{error.message.rstrip('.')} in {output}."
            raise
    return output


def own_path(job: Job) -> Path:
    """What the file of a job is called that has a picture and no name for it: its id, in this folder."""
    return Path(job.id + result_suffix(job.result_event.stored.format if job.result_event else ""))


def make_folder(folder: Path) -> None:
    """A folder for frames."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(f"{folder} can't be made: {error.strerror}.", param_hint="'--save-frames'") from None


class Frames:
    """What becomes of the previews: files, an animation, or nothing."""

    def __init__(self, targets: Targets) -> None:
        from impasto._cli._timelapse import Timelapse

        self._folder = targets.save_frames
        self._timelapse_path = targets.timelapse
        self._timelapse = Timelapse()

    @property
    def options(self) -> PreviewOptions | None:
        """Previews are asked for only if something becomes of them."""
        return FRAMES if self._folder or self._timelapse_path else None

    def take(self, event: JobEvent) -> None:
        """One event; only previews count."""
        if not isinstance(event, Preview):
            return
        if self._folder is not None:
            suffix = "jpg" if event.format == "jpeg" else event.format
            write_whole(self._folder / f"step-{event.step:06d}.{suffix}", event.data)
        if self._timelapse_path is not None:
            self._timelapse.add(event.image)

    def finish(self, picture: Path | None) -> None:
        """Writes the animation; the finished picture is its last frame."""
        if self._timelapse_path is None:
            return
        last = decode(picture.read_bytes()) if picture is not None else None
        self._timelapse.write(self._timelapse_path, last)
