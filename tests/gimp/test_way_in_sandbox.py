"""In a sandbox as Flathub's GIMP has it, with the real GIMP's own Python: the helper outside is reached by its socket.

The profile and the network are shared; programs outside can't be started.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.gimp.root import GimpRoot
from tests.gimp.test_way_in_installing import wait_for
from tests.server_process import ServerProcess
from tools.gimp.provision import REPOSITORY

PLUG_IN = ".config/GIMP/3.0/plug-ins/impasto"
SOCKET = ".config/GIMP/impasto/helper.sock"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Somebody's home folder, with the plug-in installed from a terminal."""
    home = tmp_path / "h"
    (home / ".config/GIMP/3.0").mkdir(parents=True)
    (home / "letters").mkdir()
    done = subprocess.run([*impasto(), "gimp", "install"], env=outside(home), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return home


def impasto() -> list[str]:
    return [sys.executable, "-m", "impasto"]


def outside(home: Path) -> dict[str, str]:
    """The environment outside of the sandbox."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("IMPASTO_", "XDG_"))}
    return {**plain, "HOME": str(home)}


def in_sandbox(gimp: GimpRoot, home: Path, *command: str) -> dict[str, Any]:
    """Runs a command with the permissions of org.gimp.GIMP: --filesystem=xdg-config/GIMP:create, --share=network."""
    info = home / "flatpak-info"
    info.write_text("[Application]\nname=org.gimp.GIMP\n")
    words = ["bwrap", "--unshare-all", "--share-net", "--die-with-parent", "--new-session", "--clearenv"]
    words += ["--ro-bind", str(gimp.path), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108
    words += ["--bind", f"{home}/.config/GIMP", f"{home}/.config/GIMP", "--setenv", "HOME", str(home)]
    words += ["--setenv", "XDG_CONFIG_HOME", f"{home}/.var/app/org.gimp.GIMP/config", "--setenv", "PATH", "/usr/bin"]
    words += ["--setenv", "LANG", "C.UTF-8", "--ro-bind", str(info), "/.flatpak-info"]
    done = subprocess.run([*words, *command], capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


@pytest.fixture
def sandbox(gimp: GimpRoot) -> GimpRoot:
    """The root, where a sandbox can be had."""
    # bwrap mounts into what is there: a root that can't be written to needs the places.
    (gimp.path / ".flatpak-info").touch()
    tried = subprocess.run(["bwrap", "--unshare-all", "--ro-bind", str(gimp.path), "/", "/usr/bin/true"])
    if tried.returncode:
        pytest.skip("NO TEST IN A SANDBOX: bubblewrap can't make one on this machine")
    return gimp


@pytest.fixture(autouse=True)
def no_mark(gimp: GimpRoot) -> Any:
    """The root itself is no sandbox."""
    yield
    (gimp.path / ".flatpak-info").unlink(missing_ok=True)


def painted(gimp: GimpRoot, home: Path, server: ServerProcess) -> dict[str, Any]:
    script = home / ".config/GIMP/sandboxed.py"
    shutil.copy(REPOSITORY / "tests/gimp/inside/sandboxed.py", script)
    return in_sandbox(gimp, home, "/usr/bin/python3", str(script), str(home / PLUG_IN), server.address)


def test_a_sandbox_paints_with_a_helper_outside(sandbox: GimpRoot, home: Path, server: ServerProcess) -> None:
    with subprocess.Popen([*impasto(), "helper", "--listen"], env=outside(home), stdout=subprocess.DEVNULL) as listener:
        wait_for((home / SOCKET).exists)
        answers = painted(sandbox, home, server)
        listener.terminate()
    assert answers["home"] == [".config"]
    assert answers["spawn"] is None
    assert answers["hello"]["event"] == "hello"
    assert answers["painted"]["event"] == "done", answers
    assert answers["bytes"] == 48 * 32 * 3
    assert answers["rest"] == ""
    assert answers["ended"] is True


def test_a_sandbox_with_nobody_outside_is_told_the_one_command(
    sandbox: GimpRoot, home: Path, server: ServerProcess
) -> None:
    answers = painted(sandbox, home, server)
    start = json.loads((home / PLUG_IN / "helper.json").read_text())["start"]
    assert answers["refused"] == (f"This GIMP runs in a sandbox. Type this once in a terminal, then try again: {start}")


def test_the_one_command_is_all_that_it_takes(sandbox: GimpRoot, home: Path, server: ServerProcess) -> None:
    """By hand, as where there is no systemd."""
    answers = painted(sandbox, home, server)
    command = answers["refused"].split("try again: ")[1]
    if command.startswith("systemctl"):
        unit = (home / ".config/systemd/user/impasto-helper.service").read_text()
        (line,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
        command = line.removeprefix("ExecStart=")
    with subprocess.Popen(["sh", "-c", f"exec {command}"], env=outside(home), stdout=subprocess.DEVNULL) as listener:
        wait_for((home / SOCKET).exists)
        assert painted(sandbox, home, server)["painted"]["event"] == "done"
        listener.terminate()
