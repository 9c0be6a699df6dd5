"""*Set up this computer*, for real: the archive unpacked, uv from its wheel, an environment, a helper that answers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.gimp.small_index import SmallIndex, fill
from tests.server_process import ServerProcess
from tools.gimp.archive import archive
from tools.gimp.provision import REPOSITORY

SET_UP = REPOSITORY / "tests/gimp/inside/set_up.py"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills and signals")


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive that painters unpack."""
    try:
        return archive(tmp_path_factory.mktemp("archive"))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"THE ARCHIVE WAS NOT TESTED: no package index answers here ({error})")


@pytest.fixture(scope="session")
def wheels(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a small index serves."""
    folder = tmp_path_factory.mktemp("wheels")
    with zipfile.ZipFile(packed) as unpacked:
        (name,) = (name for name in unpacked.namelist() if name.startswith("impasto/wheels/impasto-"))
        wheel = folder / Path(name).name
        wheel.write_bytes(unpacked.read(name))
    fill(folder, wheel)
    return folder


@pytest.fixture
def index(wheels: Path) -> Iterator[SmallIndex]:
    """An index of this test's own."""
    with SmallIndex(wheels).serving() as index:
        yield index


class Painter:
    """Somebody with a home folder and the archive unpacked in GIMP's plug-ins folder."""

    def __init__(self, home: Path, packed: Path) -> None:
        self.home = home
        self.plug_in = home / ".config/GIMP/3.0/plug-ins/impasto"
        self.plug_in.parent.mkdir(parents=True)
        # As people unpack: with the modes that are in the archive.
        subprocess.run(["unzip", "-q", str(packed), "-d", str(self.plug_in.parent)], check=True)
        self.folder = home / ".local/share/impasto/gimp"
        outside = ("IMPASTO_", "XDG_", "PYTHON", "UV_")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(outside)}
        self.environment["HOME"] = str(home)

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Begins to set up."""
        command = [sys.executable, str(SET_UP), str(self.plug_in), str(self.folder), *words]
        return subprocess.Popen(
            command,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def set_up(self, *words: str, **environment: str) -> tuple[int, str]:
        """Sets up; exit code, and all that was said."""
        with self.start(*words, **environment) as process:
            said, complaint = process.communicate(timeout=100)
        return process.returncode, said + complaint

    def hello(self) -> dict[str, object]:
        """What the helper that was set up answers."""
        command = json.loads((self.plug_in / "helper.json").read_text())["command"]
        done = subprocess.run(
            command,
            input=b'{"id":1,"ask":"hello"}\n',
            env=self.environment,
            capture_output=True,
            timeout=60,
            check=True,
        )
        answer: dict[str, object] = json.loads(done.stdout)
        return answer


@pytest.fixture
def painter(tmp_path: Path, packed: Path) -> Painter:
    return Painter(tmp_path, packed)


def wait_for(happened: Callable[[], object], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def test_the_archive_is_whole_and_always_the_same(packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as unpacked:
        names = unpacked.namelist()
        assert unpacked.getinfo("impasto/impasto.py").external_attr >> 16 & 0o111
    assert {name.split("/")[0] for name in names} == {"impasto"}
    assert {"impasto/texts.py", "impasto/way_in/transport.py", "impasto/wheels/constraints.txt"} <= set(names)
    assert not [name for name in names if name.endswith((".pyc", ".po", "helper.json"))]
    assert archive(tmp_path).read_bytes() == packed.read_bytes()


def test_from_the_archive_to_a_helper_that_answers(painter: Painter) -> None:
    """With the index that this machine is configured for."""
    code, said = painter.set_up()
    assert code == 0, said
    assert said.splitlines()[-1] == "1.00 Impasto is ready."
    fractions = [float(line.split()[0]) for line in said.splitlines()]
    assert fractions == sorted(fractions)
    assert painter.hello()["event"] == "hello"
    facts = json.loads((painter.plug_in / "helper.json").read_text())
    assert facts["socket"] == str(painter.home / ".config/GIMP/impasto/helper.sock")
    assert facts["start"] == f"{painter.folder}/venv/bin/impasto gimp listen"
    # A second time there is nothing to do, and nobody is asked for anything.
    code, said = painter.set_up(PIP_NO_INDEX="1", UV_OFFLINE="1")
    assert code == 0, said
    assert "Downloading" not in said


def test_what_was_whole_and_answers_no_more_is_mended(painter: Painter, index: SmallIndex) -> None:
    assert painter.set_up(**index.environment)[0] == 0
    (package,) = painter.folder.glob("venv/lib/*/site-packages/click/__init__.py")
    package.unlink()
    code, said = painter.set_up(**index.environment)
    assert code == 0, said
    assert painter.hello()["event"] == "hello"


def test_a_broken_download_is_taken_up_again(painter: Painter, index: SmallIndex) -> None:
    index.cut = {"uv": 1, "grpcio": 1}
    code, said = painter.set_up(**index.environment)
    assert code == 0, said
    assert "It broke off." in (painter.folder / "setup.log").read_text()
    assert painter.hello()["event"] == "hello"
    # uv itself had arrived, and is not asked for again.
    assert index.asked.count("grpcio") >= 2
    assert index.asked.count("uv") == 2


def test_a_download_that_stays_broken_is_said_in_a_sentence(painter: Painter, index: SmallIndex) -> None:
    index.cut = {"uv": 99}
    code, said = painter.set_up(**index.environment, PATH="/nowhere")
    assert code == 1
    assert said.splitlines()[-1] == "The download broke off. Try again: what was downloaded is kept."
    assert not (painter.plug_in / "helper.json").exists()


def test_killed_half_way_it_is_mended_by_the_next_run(painter: Painter, index: SmallIndex) -> None:
    index.hold["grpcio"] = threading.Event()
    with painter.start(**index.environment) as process:
        wait_for(lambda: "grpcio" in index.asked)
        process.send_signal(signal.SIGKILL)
    assert (painter.folder / "venv").exists()
    assert not (painter.plug_in / "helper.json").exists()
    # As when the power goes: its programs end, too; a moment later, with a package that says it is there, and isn't.
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.fsencode(painter.folder / "uv") in (folder / "cmdline").read_bytes():
                os.kill(int(folder.name), signal.SIGKILL)
    (packages,) = painter.folder.glob("venv/lib/python*/site-packages")
    half = packages / "click-8.5.1.dist-info"
    half.mkdir()
    (half / "METADATA").write_text("Metadata-Version: 2.1\nName: click\nVersion: 8.5.1\n")
    (half / "RECORD").touch()
    index.hold["grpcio"].set()
    code, said = painter.set_up(**index.environment)
    assert code == 0, said
    assert painter.hello()["event"] == "hello"
    assert "Found: half." in (painter.folder / "setup.log").read_text()


@pytest.mark.parametrize("seconds", [0.4, 1.4, 2.4])
def test_killed_at_any_time_it_is_mended(painter: Painter, index: SmallIndex, seconds: float) -> None:
    with painter.start(**index.environment) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    code, said = painter.set_up(**index.environment)
    assert code == 0, said
    assert painter.hello()["event"] == "hello"


def test_an_archive_of_another_version_is_installed_over_the_old_one(painter: Painter, index: SmallIndex) -> None:
    assert painter.set_up(**index.environment)[0] == 0
    constraints = painter.plug_in / "wheels/constraints.txt"
    constraints.write_text(constraints.read_text() + "# another version\n")
    code, said = painter.set_up(**index.environment)
    assert code == 0, said
    log = (painter.folder / "setup.log").read_text()
    assert "Found: older." in log
    assert " ~ impasto==" in log
    assert painter.hello()["event"] == "hello"


def test_an_invitation_is_kept_and_nobody_else_gets_to_see_it(painter: Painter, index: SmallIndex) -> None:
    with ServerProcess(painter.home / "server", "--tls") as server:
        invitation = server.invite("anna")
        code, said = painter.set_up("light", invitation, **index.environment)
        assert code == 0, said
        assert painter.hello()["default_server"] == server.address
    token = invitation.split("@")[0].removeprefix("impasto://")
    assert token not in said
    assert token not in (painter.folder / "setup.log").read_text()
    assert token in (painter.home / ".config/impasto/invitations").read_text()
    code, said = painter.set_up("light", invitation, **index.environment)
    assert code == 1
    assert said.splitlines()[-1].startswith("This server can't be used. ")
