"""How light and how quick to start: import time, a client-only install, the front door.

Fresh processes each time, medians of a few. Noise: other processes, and the system's file cache; the first of
anything is slower than what is measured here. A share is of the goal's seconds or bytes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.report import Row, at_most
from tests.server_process import ServerProcess


def measure(*, repeats: int = 7, install: bool = True) -> Iterator[Row]:
    """Three goals of a light client and a quick server; `install` asks the package index."""
    yield import_time(repeats)
    if install:
        yield client_install_size()
    yield front_door(repeats)


def import_time(repeats: int) -> Row:
    """`import impasto` in a fresh interpreter, less the interpreter itself; median."""

    def run(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - began

    pairs = [(run("import impasto"), run("pass")) for _ in range(repeats)]
    seconds = statistics.median(full - bare for full, bare in pairs)
    code = "import impasto, sys; print(len({'torch', 'numpy', 'rich', 'click'} & set(sys.modules)))"
    heavy = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    return at_most("import impasto", seconds, 0.25, "s", f"{heavy} of torch, numpy, rich, click imported")


def client_install_size() -> Row:
    """Everything that `pip install impasto` puts into an empty environment, without pip itself."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "site"
        uv = Path(sys.executable).with_name("uv")
        installer = [str(uv), "pip", "install", "--quiet", "--python", sys.executable]
        if not uv.exists():
            installer = [sys.executable, "-m", "pip", "install", "--quiet"]
        subprocess.run([*installer, "--target", str(target), "--constraint", "constraints.txt", "."], check=True)
        size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return at_most("client-only install", size / 1e6, 80, "MB")


def front_door(repeats: int) -> Row:
    """From starting the process to the first answer."""
    times = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as scratch:
            began = time.perf_counter()
            with ServerProcess(Path(scratch)):
                times.append(time.perf_counter() - began)
                os.sync()
    return at_most("front door listening", statistics.median(times), 1.0, "s")
