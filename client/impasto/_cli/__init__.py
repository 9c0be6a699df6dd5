"""The command line: what is asked, what is answered, and how it exits.

0 done; 1 failed, refused by the server or a file, or nobody reads the output any more; 2 wrong usage, or a value
that the server doesn't accept; 130 interrupted. A user's mistake never shows a traceback.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from impasto._cli._commands import cli
from impasto._exceptions import ImpastoError, ParameterError

INTERRUPTED = 130


def main() -> None:
    """Entry point of `impasto`. The first Ctrl-C is a KeyboardInterrupt, the second ends the process at once."""
    signal.signal(signal.SIGINT, _interrupt)
    try:
        code = run(sys.argv[1:])
    except (KeyboardInterrupt, click.Abort):
        click.echo("impasto: interrupted", err=True)
        _leave()
    sys.exit(code)


def _interrupt(*_: object) -> NoReturn:
    signal.signal(signal.SIGINT, _leave)
    raise KeyboardInterrupt


def _leave(*_: object) -> NoReturn:
    # Not by way of the interpreter's end: what gRPC has of an interrupted call may wait there for ever.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, RuntimeError):  # closed, or interrupted while it was being written to
            if stream.isatty():
                stream.write("\x1b[?25h")  # a live display hides the cursor
            stream.flush()
    os._exit(INTERRUPTED)


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code. Interrupted, it raises KeyboardInterrupt or click.Abort."""
    try:
        code = cli.main(args=list(arguments), prog_name="impasto", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # click answers 1 to this while a command runs; here it is the last flush. Let the next go into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ImpastoError as error:
        click.echo(f"impasto: {error}", err=True)
        if error.details:
            click.echo(error.details, err=True)
        return 2 if isinstance(error, ParameterError) else 1
    return code if isinstance(code, int) else 0
