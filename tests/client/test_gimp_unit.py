"""What `impasto gimp install` leaves for a GIMP in a sandbox: the socket's place, the unit, the one command."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from impasto._gimp import _unit
from impasto._gimp._doctor import check_listening
from impasto._gimp._plug_in import install_into
from impasto._gimp._profiles import find_profiles
from impasto._helper._listening import reachable
from tests.client.test_listening_helper import listener, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd and Flatpak are Linux's")


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "impasto", *words]
    return subprocess.run(command, env=environment(home), capture_output=True, text=True, timeout=60, check=False)


def environment(home: Path) -> dict[str, str]:
    """Of somebody whose systemd, if there is one here, is not the one of whoever runs the tests."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("IMPASTO_", "XDG_"))}
    return {**plain, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "DBUS_SESSION_BUS_ADDRESS": ""}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".config/GIMP/3.0").mkdir(parents=True)
    return tmp_path


def test_one_profile_serves_a_native_gimp_and_one_in_a_sandbox(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (profile,) = find_profiles(home, {}, "linux")
    facts = json.loads((install_into(profile) / "helper.json").read_text())
    assert facts["command"] == [sys.executable, "-P", "-m", "impasto", "helper"]
    assert facts["socket"] == str(home / ".config/GIMP/impasto/helper.sock")
    assert facts["start"]
    assert "flatpak-spawn" not in json.dumps(facts)


def test_installing_prints_the_one_command_and_uninstalling_removes_the_unit(home: Path) -> None:
    done = run(home, "gimp", "install")
    assert done.returncode == 0, done.stderr
    facts = json.loads((home / ".config/GIMP/3.0/plug-ins/impasto/helper.json").read_text())
    assert facts["start"] in done.stdout
    unit = home / ".config/systemd/user/impasto-helper.service"
    assert unit.exists() == _unit.has_systemd()
    _unit.write_unit(home / "s.sock", unit)
    done = run(home, "gimp", "uninstall")
    assert done.returncode == 0, done.stderr
    assert not unit.exists()


def test_the_command_by_hand_starts_a_helper_that_listens(home: Path) -> None:
    command = _unit.start_command(running=home / "no systemd here")
    assert shlex.split(command)[1:] == ["-P", "-m", "impasto", "helper", "--listen"]


def test_the_one_command_is_systemds_where_systemd_is(home: Path) -> None:
    if not shutil.which("systemctl"):
        pytest.skip("no systemctl here")
    assert _unit.start_command(running=home) == "systemctl --user enable --now impasto-helper.service"


def test_systemd_finds_nothing_wrong_with_the_unit(home: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    path = _unit.unit_path(home, {})
    _unit.write_unit(home / "s.sock", path)
    assert f'"--socket" "{home}/s.sock"' in path.read_text()
    command = ["systemd-analyze", "verify", "--user", str(path)]
    done = subprocess.run(command, env={**os.environ, "XDG_RUNTIME_DIR": str(home)}, capture_output=True, text=True)
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if "impasto" in line]
    assert complaints == []


def test_listening_works_where_systemd_cant_be_told(home: Path) -> None:
    path = home / "s" / "helper.sock"
    command = [sys.executable, "-m", "impasto", "gimp", "listen", "--socket", str(path)]
    with subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, text=True) as process:
        wait_for(path.exists)
        assert reachable(path, 20)
        process.terminate()
        assert process.stdout
        assert f"A helper listens at {path} as long as this runs." in process.stdout.read()
    assert process.returncode == 0


def test_odd_folders_come_through_the_units_quoting() -> None:
    assert _unit.quoted('/a b/50% $x "y"\\z') == '"/a b/50%% $$x \\"y\\"\\\\z"'


def test_the_doctor_checks_the_helper_that_listens(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (profile,) = find_profiles(home, {}, "linux")
    install_into(profile)
    # Nobody with a GIMP in a sandbox: nobody listens, and nothing is wrong.
    assert list(check_listening(profile)) == []
    (home / ".local/share/flatpak/app/org.gimp.GIMP").mkdir(parents=True)
    (link,) = check_listening(profile)
    assert not link.is_fine
    assert link.remedy.startswith("Type: ")
    with listener(home):
        (link,) = check_listening(profile)
    assert link.is_fine
    assert "answers at" in link.found
