"""The folder that a server keeps everything in, as its commands are told it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import platformdirs

Command = TypeVar("Command", bound=Callable[..., Any])


def state_dir_option(command: Command) -> Command:
    """`--state-dir`, the same for every command and in the environment."""
    return click.option(
        "--state-dir",
        type=click.Path(path_type=Path),
        default=lambda: platformdirs.user_state_path("impasto") / "server",
        envvar="IMPASTO_SERVE_STATE_DIR",
        help="Where jobs, images and guests are kept. Default: the platform's state folder for impasto.",
    )(command)
