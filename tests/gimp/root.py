"""A GIMP 3 root folder as the tests use it: the plug-in and the client are put in, batches are run, answers read."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.gimp.provision import REPOSITORY, client_folder, provision

INSIDE = Path(__file__).with_name("inside")
NOISE = ("Broken pipe", "stale context", "dconf", "/proc/mounts", "GLib-GIO-Message")
"""Lines on stderr that GIMP prints by itself when a plug-in or GIMP ends, or for lack of a /proc."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a GIMP run left."""

    answers: dict[str, Any]
    output: str
    complaints: list[str]
    """Lines with warnings or criticals."""


class GimpRoot:
    """One root; `/t` in it is where tests and GIMP exchange files."""

    def __init__(self, version: str = "3.0") -> None:
        self.version = version
        self.path = provision(version)
        self.exchange = self.path / "t"
        self.home = self.path / "h"
        shutil.rmtree(self.exchange, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        shutil.copytree(INSIDE, self.exchange)
        package = client_folder(self.path) / "impasto"
        shutil.rmtree(package, ignore_errors=True)
        shutil.copytree(REPOSITORY / "client/impasto", package)
        # As in a wheel.
        shutil.copytree(REPOSITORY / "plugin/impasto", package / "_plug_in")
        # GIMP makes its profile at its first start; the installer wants to find one.
        (self.profile / "plug-ins").mkdir(parents=True)
        (self.profile / "gimprc").write_text(
            "(show-welcome-dialog no)\n(check-updates no)\n(color-profile-policy keep)\n(undo-levels 5)\n"
        )

    @property
    def profile(self) -> Path:
        """GIMP's own folder of this user."""
        return self.home / ".config/GIMP" / self.version

    def command(self, *command: str, **environment: str) -> list[str]:
        """A command in the root, with an environment of its own."""
        plain = {"PATH": "/usr/bin:/bin", "HOME": "/h", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
        variables = [f"{name}={value}" for name, value in {**plain, **environment}.items()]
        return ["chroot", str(self.path), "/usr/bin/env", "-i", *variables, *command]

    def run(self, *command: str, timeout_s: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in the root to its end."""
        return subprocess.run(
            self.command(*command, **environment),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )

    def use_helper(self, *command: str) -> None:
        """Puts the plug-in in, with a helper of this command."""
        target = self.profile / "plug-ins/impasto"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(REPOSITORY / "plugin/impasto", target)
        (target / "helper.json").write_text(json.dumps({"command": command}))

    def batch(self, script: str, given: Mapping[str, Any], *, timeout_s: float = 120, **environment: str) -> Ran:
        """Runs a script of `inside/` in GIMP's console program; it reads `given` and writes its answers."""
        with self.started(script, given, **environment) as gimp:
            try:
                gimp.wait(timeout_s)
            finally:
                gimp.kill()
        return self.outcome()

    def started(self, script: str, given: Mapping[str, Any], **environment: str) -> subprocess.Popen[bytes]:
        """The same, not waited for; `outcome` reads what it left."""
        (self.exchange / "answers.json").unlink(missing_ok=True)
        (self.exchange / "given.json").write_text(json.dumps(given))
        command = self.command(
            *("gimp-console", "-idf", "--batch-interpreter=python-fu-eval"),
            *("-b", f'import sys; sys.path.insert(0, "/t"); import {script}', "--quit"),
            **environment,
        )
        with (self.exchange / "output").open("wb") as output:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def outcome(self) -> Ran:
        """What the last batch left."""
        output = (self.exchange / "output").read_text(errors="replace")
        answers = self.exchange / "answers.json"
        assert answers.exists(), output
        return Ran(json.loads(answers.read_text()), output, complaints(output))

    def processes(self, words: str) -> list[int]:
        """Processes in this root with these words in their command line."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if words in command and (folder / "root").readlink() == self.path:
                    found.append(int(folder.name))
        return found


def complaints(output: str) -> list[str]:
    """Warnings, criticals and tracebacks in what GIMP printed, as far as they name us; others have their own."""
    words = ("WARNING", "CRITICAL", "Warning", "Traceback", "Localization", "fatal")
    lines = output.splitlines()
    found = [line for line in lines if any(w in line for w in words) and not any(n in line for n in NOISE)]
    return [line for line in found if "impasto" in line or "Traceback" in line]


def unavailable() -> str:
    """Why there is no root here; empty if there is one or one can be made."""
    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("apt-get"):
        return "a GIMP 3 root takes root's rights on a Debian-like machine (python -m tools.gimp)"
    return ""


@contextlib.contextmanager
def screen(size: str = "1280x900x24") -> Iterator[str]:
    """An X server of our own; gives its display."""
    read_end, write_end = os.pipe()
    with subprocess.Popen(
        ["Xvfb", "-displayfd", str(write_end), "-screen", "0", size, "-nolisten", "tcp", "-noreset"],
        pass_fds=[write_end],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        os.close(write_end)
        with os.fdopen(read_end) as answer:
            display = f":{answer.readline().strip()}"
        try:
            yield display
        finally:
            server.terminate()


def take_screenshot(display: str, path: Path) -> None:
    """What the screen shows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["import", "-display", display, "-window", "root", str(path)], check=True)


class Rehearsed:
    """GIMP in a window, playing a script of clicks; screenshots are taken at its marks."""

    def __init__(self, root: GimpRoot, script: list[list[str]], given: Mapping[str, Any], **environment: str) -> None:
        self.root = root
        self.marks = root.exchange / "marks"
        shutil.rmtree(self.marks, ignore_errors=True)
        self.marks.mkdir()
        (root.exchange / "answers.json").unlink(missing_ok=True)
        (root.exchange / "given.json").write_text(json.dumps(given))
        self.environment = {**environment, "IMPASTO_REHEARSAL": json.dumps(script), "IMPASTO_MARKS": "/t/marks"}
        self.marked_at: dict[str, float] = {}

    def play(self, screenshots: Path, timeout_s: float = 90) -> Ran:
        """Runs it to the end."""
        with screen() as display, tempfile.TemporaryFile("w+", errors="replace") as output:
            command = self.root.command(
                *("gimp", "-n", "-s", "--batch-interpreter=python-fu-eval"),
                *("-b", 'import sys; sys.path.insert(0, "/t"); import window', "--quit"),
                DISPLAY=display,
                **self.environment,
            )
            with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as gimp:
                deadline = time.monotonic() + timeout_s
                while gimp.poll() is None and time.monotonic() < deadline:
                    for mark in self.marks.iterdir():
                        self.marked_at.setdefault(mark.name, mark.stat().st_mtime)
                        time.sleep(0.3)
                        take_screenshot(display, screenshots / f"{mark.name}.png")
                        mark.unlink()
                    time.sleep(0.05)
                if gimp.poll() is None:
                    take_screenshot(display, screenshots / "stuck.png")
                    gimp.kill()
            output.seek(0)
            text = output.read()
        answers = self.root.exchange / "answers.json"
        assert answers.exists(), text
        return Ran(json.loads(answers.read_text()), text, complaints(text))
