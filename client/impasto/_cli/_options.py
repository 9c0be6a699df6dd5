"""Options that several commands share, and how their values are read."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

WEIGHTED = re.compile(r"(?P<style>.+):(?P<weight>[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)")


def server_option(command: Command) -> Command:
    """`--server`."""
    return click.option(
        "--server",
        metavar="ADDRESS",
        help="HOST:PORT, unix:/path, local. Default: IMPASTO_SERVER, what `impasto connect` set, a private one.",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, one object a line.")(command)


def weights_options(command: Command) -> Command:
    """What can be changed while a job is painted, too."""
    for name, meaning in (
        ("--tv-weight", "How smooth the picture gets."),
        ("--style-weight", "How much the style takes over."),
        ("--content-weight", "How much of the content stays."),
    ):
        command = click.option(name, type=float, help=meaning)(command)
    return command


def bits_option(command: Command) -> Command:
    """`--bits`."""
    return click.option(
        "--bits",
        "bits_per_channel",
        type=click.Choice(["8", "16"]),
        callback=lambda _context, _parameter, value: value and int(value),
        help="Bits a channel of the result; 16 for .png and .tif. Default: 8.",
    )(command)


def size(_: click.Context, parameter: click.Parameter, value: str | None) -> int | str | None:
    """A number of pixels, or `full`."""
    if value is None or value == "full":
        return value
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a number of pixels nor `full`.", param=parameter) from None


def layers(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """`a,b` as a tuple."""
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not names:
        raise click.BadParameter("name at least one layer, relu4_1 say.", param=parameter)
    return names


def weighted_style(text: str) -> str | tuple[str, float]:
    """`NAME:WEIGHT` as a pair; a name or path alone as it is."""
    if match := WEIGHTED.fullmatch(text):
        # A drive letter is no style: C:\\picture.png never matches, since its end is no number.
        return match["style"], float(match["weight"])
    return text
