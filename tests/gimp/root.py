"""A GIMP 3 root folder as the tests use it: the plug-in and the client are put in, batches are run, answers read."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.gimp.provision import REPOSITORY, client_folder, provision

INSIDE = Path(__file__).with_name("inside")
TROUBLE = ("WARNING", "CRITICAL", "Warning", "Traceback", "Localization", "fatal")
NOISE = (
    # When a plug-in or GIMP ends, or is killed.
    "Broken pipe", "stale context", "unexpected EOF", "list of contexts not empty", "never exited", "GIMP crashed",
    "g_object_unref: assertion 'G_IS_OBJECT (object)' failed", "Killed",
    # For lack of a session bus, a display, an icon cache.
    "dconf", "/proc/mounts", "GLib-GIO-Message", "cannot open display", "Glycin", "machine-id", "portal",
    # 3.2, for lack of a mouse.
    "gimp_device_", "GDK_IS_DEVICE", "GIMP_IS_DEVICE_INFO",
    # Other plug-ins, and a greeting.
    "scriptfu-WARNING", "script-fu", "Welcome to GIMP",
)  # fmt: skip
"""Lines on stderr that GIMP prints without us."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a GIMP run left."""

    answers: dict[str, Any]
    output: str


class GimpRoot:
    """One root; `/t` in it is where tests and GIMP exchange files."""

    def __init__(self, version: str = "3.0") -> None:
        self.version = version
        self.complaints: list[str] = []
        """What GIMP and we have complained of, in all runs since a test last looked."""
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
            "(show-welcome-dialog no)(check-updates no)(color-profile-policy keep)(undo-levels 5)\n"
            # Somebody new to this version is shown around.
            f'(config-version "{self.exact_version()}")\n'
        )

    def exact_version(self) -> str:
        """`3.0.4`."""
        return self.run("gimp-console", "--version").stdout.split()[-1]

    @property
    def profile(self) -> Path:
        """GIMP's own folder of this user."""
        return self.home / ".config/GIMP" / self.version

    def command(self, *command: str, **environment: str) -> list[str]:
        """A command in the root, with an environment of its own."""
        plain = {"PATH": "/usr/bin:/bin", "HOME": "/h", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
        variables = [f"{name}={value}" for name, value in {**plain, **environment}.items()]
        # GIMP 3.2 reads its icons in a sandbox, which wants a /proc; it goes away with the process.
        mounted = ["unshare", "--mount", "sh", "-c", 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"']
        return [*mounted, str(self.path), "/usr/bin/env", "-i", *variables, *command]

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
        # What plays the painter is the tests' own and not in what is shipped.
        script = target / "impasto.py"
        source = script.read_text(encoding="utf-8")
        assert source.count("Gimp.main(") == 1
        script.write_text(source.replace("Gimp.main(", "sys.path.append('/t')\nimport rehearsal\nGimp.main("))

    def forget_settings(self) -> None:
        """Last and saved values of earlier tests."""
        shutil.rmtree(self.profile / "plug-in-settings", ignore_errors=True)

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
        self.complaints += complaints(output)
        assert answers.exists(), output
        return Ran(json.loads(answers.read_text()), output)

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
    """Lines with warnings, criticals and tracebacks that GIMP and its plug-ins printed, but for those it always has."""
    lines = [line for line in output.splitlines() if any(word in line for word in TROUBLE)]
    return [line for line in lines if not any(noise in line for noise in NOISE)]


def measured(what: str, seconds: float, goal_s: float) -> None:
    """Notes what something took, and its goal, in build/bench/gimp.json. No test fails over it: cores are shared."""
    path = REPOSITORY / "build/bench/gimp.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    noted = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    noted[what] = {"seconds": round(seconds, 3), "goal_s": goal_s, "load": round(os.getloadavg()[0], 2)}
    path.write_text(json.dumps(noted, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def unavailable() -> str:
    """Why there is no root here; empty if there is one or one can be made."""
    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("apt-get"):
        return "a GIMP 3 root takes root's rights on a Debian-like machine (python -m tools.gimp)"
    return ""


@contextlib.contextmanager
def screen(size: str = "1280x900") -> Iterator[str]:
    """An X server of our own with a window manager, which decides who has the keyboard; gives its display."""
    read_end, write_end = os.pipe()
    with subprocess.Popen(
        ["Xvfb", "-displayfd", str(write_end), "-screen", "0", f"{size}x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=[write_end],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        os.close(write_end)
        with os.fdopen(read_end) as answer:
            display = f":{answer.readline().strip()}"
        with subprocess.Popen(
            ["openbox"],
            env={**os.environ, "DISPLAY": display},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as window_manager:
            try:
                yield display
            finally:
                window_manager.terminate()
                server.terminate()


class Rehearsed:
    """GIMP in a window, playing a script of clicks; screenshots are taken at its marks."""

    def __init__(self, root: GimpRoot, script: list[list[str]], given: Mapping[str, Any], **environment: str) -> None:
        self.root = root
        self.marks = root.exchange / "marks"
        shutil.rmtree(self.marks, ignore_errors=True)
        self.marks.mkdir()
        for name in ("answers.json", "look", "looked.json", "seen"):
            (root.exchange / name).unlink(missing_ok=True)
        (root.exchange / "given.json").write_text(json.dumps(given))
        self.environment = {**environment, "IMPASTO_REHEARSAL": json.dumps(script), "IMPASTO_MARKS": "/t/marks"}
        (root.exchange / "times.jsonl").write_text("")
        self.marked_at: dict[str, float] = {}
        self.display = ""
        self.deadline = 0.0

    def play(
        self,
        screenshots: Path,
        at: Mapping[str, Callable[[], object]] | None = None,
        *,
        meanwhile: Callable[[], object] = int,
        timeout_s: float = 100,
        size: str = "1280x900",
    ) -> Ran:
        """Runs it to the end. `at` says what to do at a mark, `meanwhile` what to do beside it all."""
        with (
            screen(size) as self.display,
            tempfile.TemporaryFile("w+", errors="replace") as output,
            ThreadPoolExecutor(1) as threads,
        ):
            command = self.root.command(
                *("gimp", "-n", "-s", "--batch-interpreter=python-fu-eval"),
                *("-b", 'import sys; sys.path.insert(0, "/t"); import window', "--quit"),
                DISPLAY=self.display,
                **self.environment,
            )
            with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as gimp:
                self.deadline = time.monotonic() + timeout_s
                beside = threads.submit(meanwhile)
                try:
                    while gimp.poll() is None and time.monotonic() < self.deadline:
                        for mark in self.marks.iterdir():
                            self.marked_at.setdefault(mark.name, mark.stat().st_mtime)
                            time.sleep(0.3)
                            self.screenshot(screenshots / f"{mark.name}.png")
                            (at or {}).get(mark.name, int)()
                            mark.unlink()
                        time.sleep(0.05)
                finally:
                    if gimp.poll() is None:
                        self.screenshot(screenshots / "stuck.png")
                        gimp.kill()
                beside.result(timeout_s)
            output.seek(0)
            text = output.read()
        self.root.complaints += complaints(text)
        answers = self.root.exchange / "answers.json"
        assert answers.exists(), text
        return Ran(json.loads(answers.read_text()), text)

    def screenshot(self, path: Path) -> None:
        """What the screen shows."""
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["import", "-display", self.display, "-window", "root", str(path)], check=True)

    def xdotool(self, *words: str) -> str:
        """Somebody at the keyboard."""
        environment = {**os.environ, "DISPLAY": self.display}
        done = subprocess.run(["xdotool", *words], env=environment, check=True, capture_output=True, text=True)
        return done.stdout

    def keys(self, *keys: str) -> None:
        """Presses keys, one after the other, in whatever window has the keyboard."""
        self.xdotool("key", "--delay", "120", *keys)
        time.sleep(0.5)

    def search_action(self, label: str) -> None:
        """Runs a command of GIMP by its name, with GIMP's own search for it."""
        self.look()
        self.xdotool("search", "--sync", "--onlyvisible", "--name", "GIMP", "windowactivate", "--sync")
        time.sleep(1)
        self.keys("slash")
        time.sleep(1)
        self.xdotool("type", "--delay", "60", label)
        time.sleep(1.5)
        self.keys("Return")

    def events(self) -> list[str]:
        """What happened in the plug-in."""
        return [json.loads(line)[0] for line in (self.root.exchange / "times.jsonl").read_text().splitlines()]

    def seconds_between(self, event: str, later: str) -> float:
        """From the first time that one thing happened in the plug-in to the next that the other did."""
        times = [json.loads(line) for line in (self.root.exchange / "times.jsonl").read_text().splitlines()]
        began = next(at for what, at in times if what == event)
        return float(next(at for what, at in times if what == later and at >= began) - began)

    def window_size(self, name: str) -> tuple[int, int]:
        """Width and height of a window, without its frame."""
        words = self.xdotool("search", "--onlyvisible", "--name", name, "getwindowgeometry", "--shell")
        values = dict(line.split("=") for line in words.splitlines() if "=" in line)
        return int(values["WIDTH"]), int(values["HEIGHT"])

    def clipboard(self) -> str:
        """What a painter would paste into a letter."""
        code = "import gi; gi.require_version('Gtk', '3.0'); from gi.repository import Gdk, Gtk; "
        code += "print(Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD).wait_for_text())"
        return self.root.run("/usr/bin/python3", "-c", code, DISPLAY=self.display).stdout.strip()

    def paste(self, text: str) -> None:
        """Copies a text somewhere else and pastes it where the keyboard is."""
        code = "import sys, gi; gi.require_version('Gtk', '3.0'); from gi.repository import Gdk, Gtk; "
        code += "Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD).set_text(sys.argv[1], -1); print('copied'); Gtk.main()"
        command = self.root.command("/usr/bin/python3", "-c", code, text, DISPLAY=self.display)
        with subprocess.Popen(command, stdout=subprocess.PIPE) as elsewhere:
            assert elsewhere.stdout
            elsewhere.stdout.readline()
            self.keys("ctrl+v")
            elsewhere.kill()

    def look(self) -> Any:
        """The image as it is now, by the script in GIMP that waits for this question."""
        looked = self.root.exchange / "looked.json"
        (self.root.exchange / "look").touch()
        while not looked.exists():
            # Once GIMP has ended its answers say why.
            assert not (self.root.exchange / "answers.json").exists()
            assert time.monotonic() < self.deadline, "nobody looks"
            time.sleep(0.05)
        state = json.loads(looked.read_text())
        looked.unlink()
        return state

    def seen(self) -> None:
        """Enough was looked at."""
        (self.root.exchange / "seen").touch()
