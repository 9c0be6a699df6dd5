"""`impasto stylize`: one picture from the command line."""

import re
from pathlib import Path
from typing import Any

import click

from impasto import _requests
from impasto._cli._deliver import Targets, deliver, frames_options
from impasto._cli._display import choose_display
from impasto._cli._options import (
    bits_option,
    json_option,
    layers,
    server_option,
    size,
    weighted_style,
    weights_options,
)
from impasto._cli._output import check_depth, server_format
from impasto._client import Client
from impasto._exceptions import ImageError
from impasto._job import Job


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
@click.option("--size", callback=size, metavar="PX|full", help="Long side of the result; full: the content's own size.")
@click.option("--height", "height_px", type=int, metavar="PX", help="Exact height; with --width.")
@click.option("--width", "width_px", type=int, metavar="PX", help="Exact width; with --height.")
@click.option("--steps", type=int, help="Optimiser steps over all scales.")
@weights_options
@click.option("--learning-rate", type=float, help="Step size of the optimiser.")
@click.option("--style-layers", callback=layers, metavar="A,B", help="VGG-19 layers compared for style.")
@click.option("--content-layers", callback=layers, metavar="A,B", help="VGG-19 layers compared for content.")
@click.option("--init", "initial_image", type=click.Choice(["content", "noise"]), help="What it starts from.")
@click.option("--seed", type=int, help="Seed of everything random.")
@click.option("--weights", metavar="NAME|PATH", help="VGG-19 weights: original, torchvision, or a file.")
@click.option("--tile-px", type=int, metavar="PX", help="Side of a large picture's tiles. Default: as memory allows.")
@click.option("--coarsest-px", type=int, metavar="PX", help="Long side of the first scale; each next one doubles it.")
@bits_option
@click.option("--device", help="cuda:0, mps, cpu; `impasto info` lists them.")
@frames_options
@server_option
@json_option
def stylize(
    content: Path,
    styles: tuple[str, ...],
    output: Path | None,
    size: int | str | None,
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
    targets = Targets(output, save_frames, timelapse)
    targets.check(sources)
    check_depth(output, options["bits_per_channel"])
    options["result_format"] = server_format(output)
    options["size" if size == "full" else "size_px"] = size
    if weights is not None:
        options["weights"] = _requests.expand_file_weights(weights)
    display = choose_display(as_json, f"{content.stem} × {', '.join(Path(name).stem for name in names)}")
    with Client(server) as client:

        def submit() -> Job:
            try:
                return client.submit(content, mixture, **options)
            except ImageError as error:
                raise named(error, content, names) from None

        return deliver(submit, display, targets, as_json=as_json)


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
