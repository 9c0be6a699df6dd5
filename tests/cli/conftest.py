"""`impasto` as a user runs it: a process of its own, in a folder of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image

COMMAND = [sys.executable, "-m", "impasto"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def variables(server) -> dict[str, str]:
    """The environment of a user who chose the tests' server."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("IMPASTO_")}
    if path := variables.get("PYTHONPATH"):
        variables["PYTHONPATH"] = os.pathsep.join(os.path.abspath(part) for part in path.split(os.pathsep))
    return {**variables, "IMPASTO_SERVER": server.address, "COLUMNS": "100"}


@pytest.fixture
def folder(tmp_path, photo_png) -> Path:
    """Where the user is, with a photo."""
    (tmp_path / "photo.png").write_bytes(photo_png)
    return tmp_path


@pytest.fixture
def impasto_(folder, variables) -> Run:
    """Runs a command to its end."""

    def run(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
        command = [*COMMAND, *map(str, arguments)]
        finished = subprocess.run(
            command, cwd=folder, env={**variables, **environment}, capture_output=True, text=True, timeout=100
        )
        assert "Traceback" not in finished.stderr, finished.stderr
        return finished

    return run


def opened(path: Path) -> Image.Image:
    """A picture, its file closed again."""
    with Image.open(path) as image:
        image.load()
        return image


@pytest.fixture
def start(folder, variables) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts a command and leaves it running until the test is over."""
    with ExitStack() as stack:

        def start(*arguments: object, **options) -> "subprocess.Popen[str]":
            options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
            command = [*COMMAND, *map(str, arguments)]
            process = stack.enter_context(subprocess.Popen(command, cwd=folder, env=variables, **options))
            stack.callback(process.kill)
            return process

        yield start
