"""The private local server: one for all clients of a user, found or started, and clear when it can't be."""

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import impasto
from impasto import _local
from impasto._file_lock import is_locked, locked
from impasto._local import Process
from impasto._private_folder import make_private
from tests.client.conftest import processes_with, server_processes

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Unix sockets")

PRINT_INFO = "import impasto; c = impasto.Client(); print(c.server_info().version, c.address)"


def test_two_clients_that_start_at_once_start_one_server(private, environment):
    variables = {**environment, "IMPASTO_STATE_DIR": str(private.state_dir)}
    clients = [
        subprocess.Popen([sys.executable, "-c", PRINT_INFO], stdout=subprocess.PIPE, text=True, env=variables)
        for _ in range(3)
    ]
    answers = {client.communicate(timeout=60)[0].strip() for client in clients}
    assert answers == {f"{impasto.__version__} {private.address}"}
    # The clients are gone; their server isn't.
    assert len(server_processes(private)) == 1
    assert private.accepts()


def test_a_server_that_exited_is_started_again_by_the_next_call(private):
    with impasto.Client() as client:
        client.server_info()
        (first,) = server_processes(private)
        os.kill(first, signal.SIGKILL)
        os.waitpid(first, 0)
        assert client.server_info().version == impasto.__version__
        (second,) = server_processes(private)
    assert first != second


def test_a_server_that_fails_to_start_shows_the_end_of_its_log(private, monkeypatch):
    private.log_path.parent.mkdir(parents=True)
    broken = private.log_path.parent / "broken"
    broken.mkdir()
    (broken / "impasto_server.py").write_text("raise SystemExit('the GPU is on fire')")
    monkeypatch.setenv("PYTHONPATH", str(broken), prepend=os.pathsep)
    with pytest.raises(impasto.LocalServerError) as caught:
        impasto.Client().server_info()
    assert "stopped while it was starting (exit code 1)" in str(caught.value)
    assert "the GPU is on fire" not in str(caught.value)
    assert "the GPU is on fire" in caught.value.details
    assert str(private.log_path) in caught.value.details


def test_a_server_that_never_answers_is_given_up_and_ended(private, monkeypatch):
    private.log_path.parent.mkdir(parents=True)
    broken = private.log_path.parent / "broken"
    broken.mkdir()
    (broken / "impasto_server.py").write_text("import time; time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(broken), prepend=os.pathsep)
    with pytest.raises(impasto.LocalServerError, match="did not answer within 1 s") as caught:
        private.ensure_running(timeout_s=1)
    assert caught.value.details.startswith("Its log is empty")
    assert server_processes(private) == []


def test_without_the_server_extra_the_way_out_is_said(private, monkeypatch):
    monkeypatch.setattr(_local, "SERVER_NEEDS", ("json", "torch_that_is_not_there"))
    with pytest.raises(impasto.LocalServerError) as caught:
        impasto.Client().server_info()
    assert str(caught.value) == (
        "No server is configured, and a private one can't be started on this machine because "
        "torch_that_is_not_there is not installed. Install it with `pip install 'impasto[server]'`, "
        "or set IMPASTO_SERVER to the address of a server (HOST:PORT)."
    )


def test_a_socket_left_behind_by_a_dead_server_is_in_nobodys_way(private):
    make_private(private.run_dir)
    path = private.run_dir / f"server-{impasto.__version__}.sock"
    private.address_path.write_text(f"unix:{path}")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    assert not private.accepts()
    with impasto.Client() as client:
        assert client.server_info().version == impasto.__version__


@pytest.mark.parametrize(
    "address", ["", "\0\0\0", "unix:", "unix:/gone/s.sock", "127.0.0.1:", "127.0.0.1:5\n5", "127.0.0.1:70000"]
)
def test_an_address_that_makes_no_sense_is_nobodys(private, address):
    make_private(private.run_dir)
    private.address_path.write_text(address)
    assert not private.accepts()


def test_a_socket_in_a_folder_that_others_can_enter_is_not_trusted(private):
    make_private(private.run_dir)
    folder = private.state_dir / "open"
    folder.mkdir()
    private.address_path.write_text(f"unix:{folder}/s.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/s.sock")
        listening.listen()
        folder.chmod(0o777)
        assert not private.accepts()
        folder.chmod(0o700)
        assert private.accepts()


def test_a_server_whose_socket_was_swept_away_is_started_again(private):
    path = Path(private.ensure_running().removeprefix("unix:"))
    (first,) = server_processes(private)
    path.unlink()
    with impasto.Client() as client:
        assert client.server_info().version == impasto.__version__
    (second,) = server_processes(private)
    assert first != second


def test_a_server_on_another_machine_that_shares_the_folder_is_left_alone(private):
    path = Path(private.ensure_running().removeprefix("unix:"))
    (process,) = server_processes(private)
    # What a client on another machine sees: a lock that is held, and a socket where nobody listens.
    private.pid_path.write_text(f"{process} elsewhere")
    path.unlink()
    with pytest.raises(impasto.LocalServerError) as caught:
        impasto.Client().server_info()
    assert str(caught.value) == (
        f"A private server runs on elsewhere, with the same folder as one here would have: {private.state_dir}. Wait "
        "until it has ended, 15 minutes after its last work, or give this machine a folder of its own with "
        "IMPASTO_STATE_DIR."
    )
    assert server_processes(private) == [process]


def test_the_sockets_name_has_the_version(private):
    assert private.ensure_running().endswith(f"server-{impasto.__version__}.sock")


def test_a_file_that_cant_be_written_is_an_error_of_ours(private):
    make_private(private.run_dir)
    private.pid_path.mkdir()
    with pytest.raises(impasto.LocalServerError, match=r"can't be started\.\n.*directory"):
        private.ensure_running()


def test_without_unix_sockets_it_is_found_by_a_port_of_loopback(private, monkeypatch):
    # As on Windows; its locks are not tried.
    monkeypatch.setattr(_local, "POSIX", False)
    address = private.ensure_running()
    assert address.startswith("127.0.0.1:")
    (process,) = processes_with(b"impasto_server", address.encode())
    assert private.ensure_running() == address
    assert private.process() == Process(process, socket.gethostname())
    private.end()
    assert not private.accepts()
    assert private.process() is None


def test_an_upgrade_ends_the_older_server_and_its_job_goes_on(private, photo, monkeypatch):
    monkeypatch.setenv("IMPASTO_SERVE_DRAIN_S", "0.5")
    older = replace(private, version="0.0.9")
    with impasto.Client(older.ensure_running()) as client:
        job = client.submit(photo, "night-swirl", size_px=64, steps=900)
        before = next(event for event in job.watch(previews=None) if isinstance(event, impasto.Progress))
    (first,) = server_processes(older)
    assert older.process().id == first
    path = Path(older.address.removeprefix("unix:"))
    assert path.exists()
    with impasto.Client() as client:
        events = client.job(job.id).watch(previews=None, after_sequence=before.sequence)
        after = next(event for event in events if isinstance(event, impasto.Progress) and event.attempt == 2)
        client.job(job.id).cancel()
        assert client.address == private.address
    assert after.step > 1
    assert server_processes(older) == []
    assert older.process() is None
    assert not path.exists()


def test_a_server_that_ignores_its_end_is_killed(private):
    private.ensure_running()
    (process,) = server_processes(private)
    os.kill(process, signal.SIGSTOP)
    private.end(timeout_s=0.5)
    assert server_processes(private) == []


def test_a_newer_server_is_left_alone(private):
    newer = replace(private, version="99.0.0")
    newer.ensure_running()
    with pytest.raises(impasto.LocalServerError) as caught:
        impasto.Client().server_info()
    assert str(caught.value) == (
        f"A private server of Impasto 99.0.0 runs, which is newer than this client ({impasto.__version__}), and there "
        "is one at a time. Update this client, or give it a folder of its own with IMPASTO_STATE_DIR."
    )
    assert newer.accepts()


def test_a_process_id_left_behind_is_nobodys(private):
    make_private(private.run_dir)
    older = replace(private, version="0.0.9")
    older.pid_path.write_text(f"{os.getpid()} {socket.gethostname()}")  # the number has a new owner: us
    assert older.process() is None
    private.make_way()


def test_the_log_of_the_server_before_is_kept(private):
    private.ensure_running()
    private.end()
    private.ensure_running()
    assert "stopped" in private.log_path.with_suffix(".log.1").read_text()
    assert "stopped" not in private.log_path.read_text()


def test_a_lock_keeps_the_second_out_until_the_first_is_done(tmp_path):
    code = "from impasto._file_lock import locked; from pathlib import Path; import sys\n"
    code += "with locked(Path(sys.argv[1])): print('in')"
    with locked(tmp_path / "l"):
        other = subprocess.Popen([sys.executable, "-c", code, tmp_path / "l"], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            other.communicate(timeout=1.5)
        with (tmp_path / "l").open("r+b") as file:
            assert is_locked(file)
    assert other.communicate(timeout=10)[0] == "in\n"
