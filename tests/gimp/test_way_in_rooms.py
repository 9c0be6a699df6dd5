"""The way in, part by part: which index is asked, what fits a computer, what a child process may do, what goes away."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import wait_until
from tools.gimp.provision import REPOSITORY

PLUG_IN = REPOSITORY / "plugin/impasto"
WAY_IN = PLUG_IN / "way_in"
WIDGETS = {"view.py", "command_page.py", "page.py"}
"""The pages; everything else there runs without a window."""
pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills and signals")


@pytest.fixture(autouse=True)
def plug_in_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when GIMP starts the plug-in."""
    monkeypatch.syspath_prepend(str(PLUG_IN))


def test_it_stands_by_itself() -> None:
    """Standard library and gi; of the plug-in's other modules the texts alone; and no index is named."""
    allowed = set(sys.stdlib_module_names) | {"gi", "texts", "way_in"}
    for path in WAY_IN.glob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert "pypi" not in source.lower()
        for node in ast.walk(ast.parse(source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= allowed, (path.name, names)
            assert path.name in WIDGETS or "gi.repository" not in names, path.name


PIP = """\
:env:.find-links='/wheels /more wheels'
global.cert='/etc/authority.pem'
global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'
global.index-url='https://index.example/simple'
install.no-index='false'
global.find-links='/elsewhere'
"""


def test_uv_asks_the_index_that_pip_is_configured_for() -> None:
    from way_in.index import uv_environment, uv_options

    told = uv_environment({"PYTHONHOME": "/gimp", "HOME": "/h"}, PIP)
    assert told == {
        "HOME": "/h",
        "UV_DEFAULT_INDEX": "https://index.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,/more,wheels",
        "SSL_CERT_FILE": "/etc/authority.pem",
        "UV_SYSTEM_CERTS": "1",
    }
    assert uv_options(PIP) == []
    assert uv_options(":env:.no-index='1'") == ["--no-index"]


def test_what_is_said_to_uv_itself_goes_before_what_pip_knows() -> None:
    from way_in.index import uv_environment

    told = uv_environment({"UV_INDEX_URL": "https://mine.example/simple", "UV_FIND_LINKS": "/mine"}, PIP)
    assert told["UV_INDEX_URL"] == "https://mine.example/simple"
    assert "UV_DEFAULT_INDEX" not in told
    assert told["UV_FIND_LINKS"] == "/mine"


def test_pip_asks_uvs_index_where_only_uv_has_one() -> None:
    from way_in.index import pip_environment

    assert pip_environment({"UV_DEFAULT_INDEX": "https://mine.example"})["PIP_INDEX_URL"] == "https://mine.example"
    both = {"UV_DEFAULT_INDEX": "https://uv.example", "PIP_INDEX_URL": "https://pip.example"}
    assert pip_environment(both)["PIP_INDEX_URL"] == "https://pip.example"


def test_nothing_configured_leaves_both_their_own_index() -> None:
    from way_in.index import pip_environment, uv_environment

    assert uv_environment({"HOME": "/h"}, "") == {"HOME": "/h", "UV_SYSTEM_CERTS": "1"}
    assert pip_environment({"HOME": "/h"}) == {"HOME": "/h", "PIP_REQUIRE_VIRTUALENV": "0"}


@pytest.mark.parametrize(
    ("system", "has_nvidia", "name", "backend"),
    [
        ("linux", True, "cuda", ""),
        ("linux", False, "processor", "cpu"),
        ("win32", True, "cuda", "auto"),
        ("win32", False, "processor", ""),
        ("darwin", False, "metal", ""),
    ],
)
def test_each_computer_gets_the_torch_that_it_can_use(system: str, has_nvidia: bool, name: str, backend: str) -> None:
    from way_in.plan import plan_here

    plan = plan_here(system, has_nvidia)
    assert (plan.name, plan.torch_backend, plan.extra) == (name, backend, "server")


def test_too_little_room_is_said_before_anything_is_downloaded(tmp_path: Path) -> None:
    from texts import Refusal
    from way_in.installing import Installation
    from way_in.plan import Plan
    from way_in.supplies import Supplies

    files = [tmp_path / name for name in ("impasto.whl", "pip.whl", "constraints.txt")]
    for file in files:
        file.touch()
    lines: list[str] = []
    plan = Plan("light", "", 10**18)
    one = Installation(tmp_path, tmp_path / "f", Supplies(*files), plan, told=print, logged=lines.append)
    with pytest.raises(Refusal, match=r"too little room: 1000000000 GB are needed, \d+"):
        one.run()
    assert not [line for line in lines if line.startswith("$")]


UV = """\
#!/bin/sh
case "$*" in
*--torch-backend*) echo 'error: Failed to fetch'; exit 1 ;;
*--dry-run*) exit DRY ;;
venv*) mkdir -p "$5/bin" && touch "$5/bin/python" ;;
esac
"""


@pytest.mark.parametrize("answers", [True, False])
def test_a_download_much_larger_than_was_told_is_asked_for_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    """uv is played by a script: the one index answers, or doesn't, and the one for a processor's torch never does."""
    from texts import Refusal
    from way_in import installing, plan
    from way_in.supplies import Supplies

    pip = tmp_path / "pip-1.whl/pip"
    pip.parent.mkdir()
    for file in (tmp_path / "impasto.whl", pip, tmp_path / "constraints.txt"):
        file.touch()
    uv = tmp_path / "f/uv/uv"
    uv.parent.mkdir(parents=True)
    uv.write_text(UV.replace("DRY", "0" if answers else "1"))
    uv.chmod(0o755)
    monkeypatch.setattr(installing, "PAUSES_S", (0.1,))
    supplies = Supplies(tmp_path / "impasto.whl", pip.parent, tmp_path / "constraints.txt")
    one = installing.Installation(tmp_path, tmp_path / "f", supplies, plan.PROCESSOR, told=str, logged=str)
    with pytest.raises(Refusal) as caught:
        one.run()
    if answers:
        assert isinstance(caught.value, installing.LargerOnly)
        assert caught.value.plan is plan.CUDA
        assert str(caught.value).startswith("The small download can't be reached from here. The large one needs 7 GB; ")
    else:
        assert str(caught.value).startswith("That didn't work.")


@pytest.mark.parametrize(
    ("system", "environment", "brings"),
    [("linux", {}, False), ("linux", {"APPIMAGE": "/x"}, True), ("win32", {}, True), ("darwin", {}, True)],
)
def test_a_python_that_goes_away_with_gimp_is_not_built_on(
    tmp_path: Path, system: str, environment: dict[str, str], brings: bool
) -> None:
    from way_in.plan import brings_python

    assert brings_python(tmp_path / "no mark", system, environment) == brings
    assert brings_python(tmp_path, system, environment)


def test_two_windows_dont_set_up_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from texts import Refusal
    from way_in import folder

    monkeypatch.setattr(folder, "LOCK_S", 0.5)
    with folder.locked(tmp_path), pytest.raises(Refusal, match="in another window"), folder.locked(tmp_path):
        pass
    with folder.locked(tmp_path):
        pass


def test_whatever_has_no_marker_is_half(tmp_path: Path) -> None:
    from way_in.folder import MARKER, Found, found, python_of, write_whole

    assert found(tmp_path, "new") is Found.NOTHING
    python_of(tmp_path).parent.mkdir(parents=True)
    assert found(tmp_path, "new") is Found.HALF
    python_of(tmp_path).touch()
    write_whole(tmp_path / MARKER, {"paints": True, "digest": "old"})
    assert found(tmp_path, "new") is Found.OLDER
    assert found(tmp_path, "old") is Found.WHOLE
    python_of(tmp_path).unlink()
    assert found(tmp_path, "old") is Found.HALF
    (tmp_path / MARKER).write_text('{"dig')
    assert found(tmp_path, "old") is Found.HALF


def test_removing_takes_what_was_set_up_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from way_in.folder import helper_facts_for, remove, write_whole

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    plug_in, folder = tmp_path / ".config/GIMP/3.0/plug-ins/impasto", tmp_path / "data/gimp"
    unit = tmp_path / ".config/systemd/user/impasto-helper.service"
    for place in (plug_in, folder / "venv/bin", unit.parent):
        place.mkdir(parents=True)
    write_whole(plug_in / "helper.json", helper_facts_for(plug_in, folder))
    unit.write_text(f'ExecStart="{folder}/venv/bin/python"')
    remove(plug_in, folder)
    assert not folder.exists()
    assert not (plug_in / "helper.json").exists()
    assert not unit.exists()
    assert plug_in.exists()
    # Somebody else's helper, from a terminal, stays.
    folder.mkdir()
    (plug_in / "helper.json").write_text('{"command": ["/usr/bin/python3"]}')
    unit.write_text('ExecStart="/usr/bin/python3"')
    remove(plug_in, folder)
    remove(plug_in, folder)
    assert (plug_in / "helper.json").exists()
    assert unit.exists()


def test_a_program_and_its_children_end_when_it_is_cancelled(tmp_path: Path) -> None:
    from texts import Cancelled
    from way_in.running import Runner

    lines: list[str] = []
    runner = Runner(lines.append)
    timer = threading.Timer(0.5, runner.cancel)
    timer.start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        runner.run(["sh", "-c", "sleep 60 & echo $!; wait"], dict(os.environ))
    assert time.monotonic() - started < 20
    child = int(lines[-1])
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and Path(f"/proc/{child}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(Cancelled):
        runner.run(["true"], dict(os.environ))


@pytest.mark.skipif(not shutil.which("setpriv"), reason="only util-linux ties a program's life to ours")
def test_a_program_ends_when_the_plug_in_is_killed(tmp_path: Path) -> None:
    """And so lets go of the lock: the next attempt need not wait for it."""
    code = "import os; from way_in.running import Runner; "
    code += f"Runner(print).run(['sh', '-c', 'echo $$ > {tmp_path}/pid; exec sleep 100'], dict(os.environ))"
    environment = {**os.environ, "PYTHONPATH": str(PLUG_IN)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL) as killed:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"), 30)
        killed.kill()
    program = Path("/proc") / (tmp_path / "pid").read_text().strip()
    wait_until(lambda: not program.exists() or (program / "stat").read_text().split()[2] == "Z", 20)


def test_the_helper_is_told_nothing_of_an_appimages_python_and_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from way_in.transport import open_helper

    mounted = "/tmp/.mount_GIMP-3abc"  # noqa: S108 (where AppImages are mounted)
    told = {
        "APPDIR": mounted,
        "APPIMAGE": "/home/anna/GIMP.AppImage",
        "LD_LIBRARY_PATH": f"{mounted}/usr/lib:/opt/cuda/lib64:{mounted}/usr/lib/x86_64-linux-gnu",
        "PYTHONHOME": f"{mounted}/usr",
        "PYTHONPATH": f"{mounted}/usr/lib/python3",
        "GI_TYPELIB_PATH": f"{mounted}/usr/lib/girepository-1.0",
        "GEGL_PATH": "/home/anna/gegl",
        "HTTPS_PROXY": "http://proxy:3128",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    code = "import json, os; print(json.dumps(dict(os.environ)), flush=True)"
    helper = open_helper(tmp_path, command=[sys.executable, "-c", code])
    heard = json.loads(os.read(helper.read_fd, 1 << 16))
    helper.wait(20)
    helper.close()
    assert {name: heard[name] for name in told if name in heard} == {
        "APPIMAGE": "/home/anna/GIMP.AppImage",
        "LD_LIBRARY_PATH": "/opt/cuda/lib64",
        "GEGL_PATH": "/home/anna/gegl",
        "HTTPS_PROXY": "http://proxy:3128",
    }


def test_without_a_package_the_painters_own_libraries_stay() -> None:
    from way_in.outside import outside

    own = {"LD_LIBRARY_PATH": "/opt/cuda/lib64:", "PATH": "/usr/bin::/bin", "EMPTY": "", "SNAP": ""}
    assert outside({**own, "PYTHONHOME": "/usr"}) == own


def test_a_program_that_fails_says_its_last_lines() -> None:
    from way_in.running import Failed, Runner

    with pytest.raises(Failed) as caught:
        Runner(lambda _line: None).run(["sh", "-c", "cat; echo it broke >&2; exit 3"], dict(os.environ), text="heard\n")
    assert caught.value.lines == ["heard", "it broke"]


def test_a_helper_that_dies_leaves_its_complaints(tmp_path: Path) -> None:
    from way_in.transport import open_helper

    code = "import sys, os, signal; print('it hurts', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)"
    helper = open_helper(tmp_path, command=[sys.executable, "-c", code])
    assert os.read(helper.read_fd, 100) == b""
    assert helper.wait(20)
    assert helper.complaints() == "it hurts\n"
    helper.close()


def test_a_helper_that_hangs_can_be_killed(tmp_path: Path) -> None:
    from way_in.transport import open_helper

    code = "import time; time.sleep(60)"
    (tmp_path / "helper.json").write_text(json.dumps({"command": [sys.executable, "-c", code]}))
    helper = open_helper(tmp_path)
    helper.hang_up()
    assert not helper.wait(0.2)
    helper.kill()
    assert helper.wait(20)
    assert os.read(helper.read_fd, 100) == b""
    helper.close()


def test_a_frozen_listener_holds_nobody_up(tmp_path: Path) -> None:
    from tests.client.test_listening_helper import listener
    from way_in.transport import SocketHelper

    with listener(tmp_path) as (process, path):
        process.send_signal(signal.SIGSTOP)
        helper = SocketHelper(str(path), "impasto gimp listen")
        assert not helper.wait(0.2)
        started = time.monotonic()
        helper.kill()
        assert os.read(helper.read_fd, 100) == b""
        assert time.monotonic() - started < 5
        helper.close()
        process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"command": []}', '{"command": 3}', '{"command": [1]}'])
def test_a_command_file_that_says_nothing_means_not_set_up(tmp_path: Path, text: str | None) -> None:
    from texts import Refusal
    from way_in.transport import is_set_up, open_helper

    if text is not None:
        (tmp_path / "helper.json").write_text(text)
    assert not is_set_up(tmp_path)
    with pytest.raises(Refusal, match="not set up"):
        open_helper(tmp_path)


def test_set_up_means_something_else_in_a_sandbox(tmp_path: Path) -> None:
    from way_in.transport import NobodyListens, check_listening, is_set_up, open_helper

    mark = tmp_path / "flatpak-info"
    facts: dict[str, Any] = {"command": ["/elsewhere/python", "-m", "impasto", "helper"]}
    (tmp_path / "helper.json").write_text(json.dumps(facts))
    # A program that is gone is no helper.
    assert not is_set_up(tmp_path, mark)
    check_listening(tmp_path, mark)
    mark.touch()
    assert not is_set_up(tmp_path, mark)
    with pytest.raises(NobodyListens) as caught:
        open_helper(tmp_path, sandbox_mark=mark)
    assert caught.value.command == "/elsewhere/python -m impasto helper --listen"
    (tmp_path / "helper.json").write_text(json.dumps({**facts, "socket": "/s", "start": "impasto gimp listen"}))
    assert is_set_up(tmp_path, mark)
    with pytest.raises(NobodyListens, match="Type this once in a terminal, then try again: impasto gimp listen"):
        check_listening(tmp_path, mark)
