"""The way in without a terminal as a painter sees it: in the real GIMP's root, with its own Python and Gtk."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gimp.root import GimpRoot, complaints, screen
from tests.gimp.small_index import SmallIndex, fill
from tests.gimp.test_way_in_installing import packed, wait_for  # noqa: F401 (a fixture)
from tests.server_process import ServerProcess
from tools.gimp.provision import client_folder

PLUG_IN = "/h/.config/GIMP/{version}/plug-ins/impasto"
FOLDER = "/h/.local/share/impasto/gimp"


class Window:
    """The way in, in a window on a screen of its own."""

    def __init__(self, root: GimpRoot, display: str, screenshots: Path, **environment: str) -> None:
        self.display, self.screenshots = display, screenshots
        command = root.command(
            *("/usr/bin/python3", "/t/way_in_window.py", PLUG_IN.format(version=root.version), FOLDER),
            DISPLAY=display,
            **environment,
        )
        self.output = root.exchange / "way_in.output"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True
            )

    def do(self, **order: str) -> dict[str, Any]:
        """Tells the window what to do, and gives the state it is in then."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.output.read_text()
        state: dict[str, Any] = json.loads(line)
        return state

    def until(self, happened: Any, timeout_s: float = 60) -> dict[str, Any]:
        """The first state of which this is true."""
        deadline = time.monotonic() + timeout_s
        while not happened(state := self.do()):
            assert time.monotonic() < deadline, state
            time.sleep(0.1)
        return state

    def screenshot(self, name: str) -> None:
        """For people to look at."""
        time.sleep(0.4)
        path = self.screenshots / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["import", "-display", self.display, "-window", "root", str(path)], check=True)


@pytest.fixture
def display() -> Iterator[str]:
    with screen("800x560") as display:
        yield display


@pytest.fixture(scope="module")
def index(gimp: GimpRoot, packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallIndex]:  # noqa: F811
    """What the root's Python needs, on loopback, which is the root's, too."""
    wheels = tmp_path_factory.mktemp("wheels")
    with zipfile.ZipFile(packed) as unpacked:
        (name,) = (name for name in unpacked.namelist() if name.startswith("impasto/wheels/impasto-"))
        (wheels / Path(name).name).write_bytes(unpacked.read(name))
    version = client_folder(gimp.path).parent.name.removeprefix("python")
    fill(wheels, wheels / Path(name).name, "--python-version", version)
    with SmallIndex(wheels).serving() as index:
        yield index


@pytest.fixture
def unpacked(gimp: GimpRoot, packed: Path) -> Iterator[Path]:  # noqa: F811
    """The archive in GIMP's plug-ins folder, and nothing else of ours; taken away afterwards."""
    plug_ins = gimp.profile / "plug-ins"
    ours = [plug_ins / "impasto", gimp.home / ".local/share/impasto", gimp.home / ".config/impasto"]
    for place in ours:
        shutil.rmtree(place, ignore_errors=True)
    subprocess.run(["unzip", "-q", str(packed), "-d", str(plug_ins)], check=True)
    yield plug_ins / "impasto"
    for place in ours:
        shutil.rmtree(place, ignore_errors=True)
    (gimp.path / ".flatpak-info").unlink(missing_ok=True)


@contextlib.contextmanager
def window(gimp: GimpRoot, display: str, screenshots: Path, **environment: str) -> Iterator[Window]:
    shown = Window(gimp, display, screenshots, **environment)
    try:
        yield shown
        shown.do(close="")
        assert shown.process.wait(20) == 0
    finally:
        shown.process.kill()
        shown.process.wait()
        for pipe in (shown.process.stdin, shown.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        gimp.complaints += complaints(shown.output.read_text())


def test_from_the_archive_to_ready_in_one_click(
    gimp: GimpRoot, display: str, screenshots: Path, unpacked: Path, index: SmallIndex
) -> None:
    index.hold["grpcio"] = threading.Event()
    with (
        ServerProcess(gimp.path / "t/house", "--tls") as server,
        window(gimp, display, screenshots, **index.environment) as painter,
    ):
        first = painter.until(lambda state: "Set _up this computer" in state["buttons"])
        assert any("Needs about" in text and "are free" in text for text in first["texts"])
        assert "Use this ser_ver" not in first["buttons"]
        painter.screenshot("way-in")
        painter.do(paste=server.invite("anna"))
        painter.do(press="Use this ser_ver")
        painter.until(lambda _: "grpcio" in index.asked)
        working = painter.do(press="_Details…")
        assert working["page"] == "work"
        painter.until(lambda state: state["bars"][0] > 0)
        painter.screenshot("way-in-working")
        index.hold.pop("grpcio").set()
        painter.until(lambda state: state["ready"])
        # It keeps its size whatever it says.
        assert working["size"] == first["size"]
    facts = json.loads((unpacked / "helper.json").read_text())
    done = gimp.run("sh", "-c", 'echo \'{"id":1,"ask":"hello"}\' | "$@"', "sh", *facts["command"])
    assert json.loads(done.stdout)["default_server"] == server.address


def test_cancel_is_at_once_and_ends_the_programs(
    gimp: GimpRoot, display: str, screenshots: Path, unpacked: Path, index: SmallIndex
) -> None:
    index.asked.clear()
    index.hold["grpcio"] = threading.Event()
    with window(gimp, display, screenshots, **index.environment) as painter:
        painter.do(paste="impasto://token@127.0.0.1:1")
        painter.do(press="Use this ser_ver")
        painter.until(lambda _: "grpcio" in index.asked)
        assert gimp.processes("uv pip install")
        started = time.monotonic()
        state = painter.do(press="Ca_ncel")
        assert state["page"] == "choices"
        assert time.monotonic() - started < 5  # 0.3 s, on a machine with nothing else to do
        wait_for(lambda: not gimp.processes("uv pip install"))
        assert "Re_move what was installed" in painter.do()["buttons"]
        painter.do(press="Re_move what was installed")
        wait_for(lambda: not (gimp.path / FOLDER.lstrip("/")).exists())
        index.hold.pop("grpcio").set()


def test_what_fails_is_said_in_one_sentence_and_can_be_tried_again(
    gimp: GimpRoot, display: str, screenshots: Path, unpacked: Path, index: SmallIndex
) -> None:
    index.asked.clear()
    index.cut["uv"] = 99
    with window(gimp, display, screenshots, **index.environment) as painter:
        painter.do(paste="what somebody said")
        state = painter.do(press="Use this ser_ver")
        assert state["page"] == "choices"
        assert "This isn't a whole invitation. It begins with impasto:// and has no spaces in it." in state["texts"]
        painter.do(paste="impasto://token@127.0.0.1:1")
        painter.do(press="Use this ser_ver")
        painter.until(lambda _: "uv" in index.asked)
        shutil.rmtree(unpacked / "wheels")
        index.cut.clear()
        painter.do(press="Ca_ncel")
        painter.do(press="Use this ser_ver")
        state = painter.until(lambda state: "Try _again" in state["buttons"])
        sentence = "This copy of the plug-in can't set itself up. Unpack Impasto's archive for GIMP again."
        assert sentence in state["texts"]
        painter.screenshot("way-in-failed")
        assert painter.do(press="_Back")["page"] == "choices"


def test_in_a_sandbox_the_one_command_is_shown(
    gimp: GimpRoot, display: str, screenshots: Path, unpacked: Path, tmp_path: Path
) -> None:
    (gimp.path / ".flatpak-info").touch()
    path = gimp.home / ".config/GIMP/impasto/helper.sock"
    facts = {
        "command": ["/elsewhere/python"],
        "socket": f"/{path.relative_to(gimp.path)}",
        "start": "impasto gimp listen",
    }
    (unpacked / "helper.json").write_text(json.dumps(facts))
    with window(gimp, display, screenshots) as painter:
        state = painter.until(lambda state: state["page"] == "command")
        assert state["entries"] == ["impasto gimp listen"]
        painter.screenshot("way-in-flatpak")
        state = painter.do(press="C_ontinue")
        assert "Not there yet. Was the line pasted, and Return pressed?" in state["texts"]
        outside = {name: value for name, value in os.environ.items() if not name.startswith("IMPASTO_")}
        command = [sys.executable, "-m", "impasto", "helper", "--listen", "--socket", str(path)]

        with subprocess.Popen(command, env={**outside, "HOME": str(tmp_path)}, stdout=subprocess.DEVNULL) as listener:
            wait_for(path.exists)
            painter.until(lambda _: painter.do(press="C_ontinue")["ready"])
            listener.terminate()
