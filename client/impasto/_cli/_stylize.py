"""`impasto stylize`: one picture from the command line."""

import re
from pathlib import Path
from typing import Any

import click

from impasto import _requests
from impasto._cli._display import choose_display, print_json
from impasto._cli._follow import follow
from impasto._cli._options import json_option, layers, server_option, weighted_style
from impasto._cli._output import FORMATS, TIMELAPSE_FORMATS, check_output, write_picture, write_whole
from impasto._client import Client
from impasto._events import JobEvent, Preview
from impasto._exceptions import ImageError, JobCancelledError
from impasto._images import decode
from impasto._job import Job
from impasto._requests import PreviewOptions

FRAMES = PreviewOptions(max_size_px=1024, max_per_second=10, quality=92)


@click.command()
@click.argument("content", type=click.Path(path_type=Path))
@click.option(
    "--style",
    "styles",
    multiple=True,
    required=True,
    metavar="STYLE[:WEIGHT]",
    help="A picture, or a style of `impasto styles`. Repeat it to mix several.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: CONTENT-STYLE.png in this folder.")
@click.option("--recipe", metavar="NAME", help="painterly, classic or draft; `impasto info` lists them.")
@click.option("--size", "size_px", type=int, metavar="PX", help="Long side of the result.")
@click.option("--height", "height_px", type=int, metavar="PX", help="Exact height; with --width.")
@click.option("--width", "width_px", type=int, metavar="PX", help="Exact width; with --height.")
@click.option("--steps", type=int, help="Optimiser steps over all scales.")
@click.option("--content-weight", type=float, help="How much of the content stays.")
@click.option("--style-weight", type=float, help="How much the style takes over.")
@click.option("--tv-weight", type=float, help="How smooth the picture gets.")
@click.option("--learning-rate", type=float, help="Step size of the optimiser.")
@click.option("--style-layers", callback=layers, metavar="A,B", help="VGG-19 layers compared for style.")
@click.option("--content-layers", callback=layers, metavar="A,B", help="VGG-19 layers compared for content.")
@click.option("--init", "initial_image", type=click.Choice(["content", "noise"]), help="What it starts from.")
@click.option("--seed", type=int, help="Seed of everything random.")
@click.option("--weights", metavar="NAME|PATH", help="VGG-19 weights: original, torchvision, or a file.")
@click.option("--device", help="cuda:0, mps, cpu; `impasto info` lists them.")
@click.option("--save-frames", type=click.Path(path_type=Path), metavar="DIR", help="Keep every preview there.")
@click.option("--timelapse", type=click.Path(path_type=Path), metavar="FILE.gif|webp", help="Write an animation.")
@server_option
@json_option
def stylize(
    content: Path,
    styles: tuple[str, ...],
    output: Path | None,
    weights: str | None,
    save_frames: Path | None,
    timelapse: Path | None,
    server: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Paint CONTENT in the manner of a STYLE.

    The first Ctrl-C stops the job and keeps the picture so far; the second leaves at once.
    """
    mixture = [weighted_style(text) for text in styles]
    names = [style if isinstance(style, str) else style[0] for style in mixture]
    sources = [content, *map(Path, names)]
    if output is None:
        output = Path(f"{content.stem}-{'-'.join(Path(name).stem for name in names)}.png")
    check_output(output, FORMATS, sources, "--output")
    if timelapse is not None:
        check_output(timelapse, TIMELAPSE_FORMATS, [*sources, output], "--timelapse")
    if save_frames is not None:
        make_folder(save_frames)
    if weights is not None:
        options["weights"] = _requests.expand_file_weights(weights)
    with (
        Client(server) as client,
        choose_display(as_json, f"{content.stem} × {', '.join(Path(n).stem for n in names)}") as display,
    ):
        try:
            job = client.submit(content, mixture, **options)
        except ImageError as error:
            raise named(error, content, names) from None
        frames = Frames(save_frames, timelapse)
        interrupted = follow(job, display, frames.options, frames.take)
        path = write_result(job, output, interrupted)
        frames.finish(path)
    for kind, written in (("picture", path), ("timelapse", timelapse)):
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


def write_result(job: Job, output: Path, interrupted: bool) -> Path | None:
    """Writes the finished picture, or the partial one beside its name. None if there is none."""
    try:
        write_picture(job.result_bytes(), output)
    except JobCancelledError as error:
        if error.partial is None:
            if interrupted:
                return None
            raise
        output = output.with_name(f"{output.stem}-partial{output.suffix}")
        write_picture(job.partial_bytes(), output)
        if not interrupted:
            error.message = f"{error.message.rstrip('.')} in {output}."
            raise
    return output


def make_folder(folder: Path) -> None:
    """A folder for frames."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(f"{folder} can't be made: {error.strerror}.", param_hint="'--save-frames'") from None


def named(error: ImageError, content: Path, names: list[str]) -> ImageError:
    """The same error with the file's name before it: the server knows bytes only."""
    if error.field == "spec.content":
        file = str(content)
    elif index := re.fullmatch(r"spec\.styles\[(\d+)\]\.image", error.field):
        file = names[int(index[1])]
    else:
        return error
    if file not in error.message:
        error.message = f"{file}: {error.message}"
    return error


class Frames:
    """What becomes of the previews: files, an animation, or nothing."""

    def __init__(self, folder: Path | None, timelapse: Path | None) -> None:
        from impasto._cli._timelapse import Timelapse

        self._folder = folder
        self._timelapse_path = timelapse
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
