"""`impasto helper --listen`: hosts at a Unix socket, each with a helper of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from impasto._helper import _listening
from impasto._helper._listening import ListeningError, reachable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")


@contextlib.contextmanager
def listener(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A listening helper of somebody with this home folder; ended afterwards."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("IMPASTO_", "XDG_"))}
    command = [sys.executable, "-m", "impasto", "helper", "--listen", *options]
    with subprocess.Popen(
        command, env={**environment, "HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        path = home / ".config/GIMP/impasto/helper.sock"
        assert process.stdout
        assert "listens at" in process.stdout.readline()
        wait_for(lambda: process.poll() is not None or connects(path))
        try:
            yield process, path
        finally:
            process.kill()


def wait_for(happened: Any, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(str(path))
        return True
    return False


class Connection:
    """A host at a socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rwb")

    def ask(self, **head: Any) -> dict[str, Any]:
        self.file.write(json.dumps(head).encode() + b"\n")
        self.file.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.file.readline())
        return answer

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def test_several_hosts_are_served_side_by_side_and_apart(tmp_path: Path) -> None:
    with listener(tmp_path) as (_, path):
        hosts = [Connection(path) for _ in range(3)]
        assert [host.ask(id=number, ask="hello")["id"] for number, host in enumerate(hosts)] == [0, 1, 2]
        hosts[0].file.write(b"this is no frame\n")
        hosts[0].file.flush()
        assert hosts[0].answer()["kind"] == "FrameError"
        assert hosts[0].file.readline() == b""
        assert hosts[1].ask(id=7, ask="hello")["id"] == 7
        for host in hosts:
            host.close()


def test_nobody_else_gets_to_the_socket(tmp_path: Path) -> None:
    with listener(tmp_path) as (_, path):
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_session_ends_with_its_host(tmp_path: Path) -> None:
    with listener(tmp_path) as (process, path):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        host = Connection(path)
        host.ask(id=1, ask="hello")
        # The fixture's probe had a session, too.
        wait_for(lambda: len(children.read_text().split()) == 1)
        host.close()
        wait_for(lambda: not children.read_text().split())


def test_it_ends_by_itself_once_nobody_is_connected_and_never_before(tmp_path: Path) -> None:
    with listener(tmp_path, "--idle-minutes", "0.03") as (process, path):
        host = Connection(path)
        assert host.ask(id=1, ask="hello")["event"] == "hello"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(4)
        assert host.ask(id=2, ask="hello")["event"] == "hello"
        host.close()
        assert process.wait(20) == 0
        assert not path.exists()


def test_a_second_one_leaves_the_first_alone_and_says_so(tmp_path: Path) -> None:
    with listener(tmp_path) as (_, path):
        with listener(tmp_path) as (second, _):
            assert second.wait(20) == 1
            assert second.stdout
            assert f"A helper listens at {path} already." in second.stdout.read()
        assert reachable(path, 20)


def test_the_socket_of_one_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    with listener(tmp_path) as (process, path):
        process.kill()
        process.wait()
    assert path.exists()
    with pytest.raises(ListeningError, match="nobody answers"):
        reachable(path, 5)
    with listener(tmp_path):
        assert reachable(path, 20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_clears_up_when_it_is_told_to_end(tmp_path: Path, number: signal.Signals) -> None:
    with listener(tmp_path) as (process, path):
        process.send_signal(number)
        assert process.wait(20) == 0
        assert not path.exists()


def test_the_number_of_hosts_is_bounded_and_the_next_one_hears_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_listening, "MOST_HOSTS", 2)
    path = tmp_path / "s" / "helper.sock"
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # signals are the main thread's
    thread = threading.Thread(target=_listening.listen, args=(path, 0.5))
    thread.start()
    wait_for(path.exists)
    hosts = [Connection(path), Connection(path)]
    for host in hosts:
        assert host.ask(id=1, ask="hello")["event"] == "hello"
    third = Connection(path)
    refused = third.answer()
    assert refused["event"] == "failed"
    assert refused["sentence"] == "Too many GIMPs use Impasto's helper: close one of their dialogs."
    for host in [*hosts, third]:
        host.close()
    thread.join(20)
    assert not thread.is_alive()


def test_a_path_too_long_for_a_socket_is_said_in_a_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(ListeningError, match="Nobody can listen at"),
        _listening.listening(tmp_path / ("x" * 120) / "s"),
    ):
        pass
