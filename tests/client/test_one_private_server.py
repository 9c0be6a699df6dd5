"""One private server for all of a user's sessions, and beside it the same user's `impasto serve`."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

import impasto
from tests.client.conftest import processes_with

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Unix sockets")

PRINT_INFO = "import impasto; c = impasto.Client(); print(c.server_info().version, c.address)"
START_OLDER = """
from dataclasses import replace
from impasto._local import local_server
print("older", replace(local_server(), version="0.0.9").ensure_running())
"""


@dataclass
class Home:
    """A user's home folder, and the environments in which the same user is at work."""

    path: Path
    desktop: dict[str, str]
    cron: dict[str, str]

    def start(self, session: dict[str, str], *arguments: str) -> "subprocess.Popen[str]":
        """Python in one of the sessions, with these arguments."""
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=session,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, session: dict[str, str], code: str = PRINT_INFO) -> tuple[str, str]:
        """What a client in a session prints: two words."""
        return answer_of(self.start(session, "-c", code))

    def servers(self) -> list[int]:
        """The private servers that live."""
        return processes_with(b"impasto_server", b"--private", os.fsencode(self.path))


def answer_of(client: "subprocess.Popen[str]") -> tuple[str, str]:
    """A client's two words, and no error."""
    out, err = client.communicate(timeout=60)
    assert client.returncode == 0, err
    first, second = out.split()
    return first, second


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Home]:
    """A home folder with nothing in it; what was started from it is killed after the test."""
    path = tmp_path_factory.mktemp("home")
    common = {key: value for key, value in environment.items() if not key.startswith("XDG_")}
    common |= {"HOME": str(path), "OMP_NUM_THREADS": "1"}
    home = Home(path, common | {"TMPDIR": str(path / "tmp")}, common | {"TMPDIR": str(path / "cron")})
    home.desktop["XDG_RUNTIME_DIR"] = str(path / "session")
    for folder in ("tmp", "cron", "session"):
        (path / folder).mkdir(mode=0o700)
    yield home
    for process in home.servers():
        os.kill(process, signal.SIGKILL)


@pytest.fixture
def serve(home: Home) -> Iterator[Callable[..., str]]:
    """Starts the user's own `impasto serve`, with default folders; returns its first line."""
    with ExitStack() as stack:

        def serve(**variables: str) -> str:
            command = ["-m", "impasto", "serve", "--listen", "127.0.0.1:0"]
            process = stack.enter_context(home.start(home.desktop | variables, *command))
            stack.callback(process.kill)
            line = process.stdout.readline()
            return line or process.stderr.read()

        yield serve


def test_serve_starts_beside_a_private_server(home, serve):
    home.ask(home.desktop)
    assert "listening on" in serve()
    assert len(home.servers()) == 1


def test_a_private_server_starts_beside_serve(home, serve):
    assert "listening on" in serve()
    assert home.ask(home.desktop)[0] == impasto.__version__


def test_a_private_server_does_not_take_the_folder_that_the_environment_gives_serve(home, serve):
    variables = {"IMPASTO_SERVE_STATE_DIR": str(home.path / "mine")}
    assert "listening on" in serve(**variables)
    assert home.ask(home.desktop | variables)[0] == impasto.__version__


def test_a_desktop_session_and_a_cron_job_find_the_same_server(home):
    assert home.ask(home.desktop) == home.ask(home.cron)
    assert len(home.servers()) == 1


def test_sessions_that_start_at_once_start_one_server(home):
    clients = [home.start(session, "-c", PRINT_INFO) for session in (home.desktop, home.cron) * 2]
    assert len({answer_of(client) for client in clients}) == 1
    assert len(home.servers()) == 1


def test_what_a_killed_server_left_behind_keeps_no_session_out(home):
    home.ask(home.desktop)
    (first,) = home.servers()
    os.kill(first, signal.SIGKILL)
    assert home.ask(home.cron) == home.ask(home.desktop)
    (second,) = home.servers()
    assert first != second


def test_a_newer_version_ends_an_older_one_of_another_session(home):
    assert home.ask(home.desktop, START_OLDER)[0] == "older"
    (older,) = home.servers()
    assert home.ask(home.cron)[0] == impasto.__version__
    (newer,) = home.servers()
    assert older != newer


@pytest.fixture
def long(home: Home) -> Iterator[dict[str, str]]:
    """Gives the state folder a name that is too long for a socket; the stand-in in /tmp is removed after the test."""
    long = {"XDG_STATE_HOME": str(home.path / ("x" * 120))}
    yield long
    for process in home.servers():
        os.kill(process, signal.SIGKILL)
    (address,) = home.path.rglob("*.address")
    socket = Path(address.read_text().removeprefix("unix:"))
    socket.unlink()
    socket.parent.rmdir()


def test_sessions_find_each_other_where_the_state_folders_name_is_too_long_for_a_socket(home, long):
    version, address = home.ask(home.desktop | long)
    assert home.ask(home.cron | long) == (version, address)
    assert len(home.servers()) == 1
    assert len(os.fsencode(address.removeprefix("unix:"))) < 104


ASK_TWICE = """
import impasto
with impasto.Client() as client:
    print(client.server_info().version, flush=True)
    input()
    print(client.server_info().version)
"""


def test_a_client_goes_on_with_the_server_that_another_session_started_again(home, long):
    with home.start(home.desktop | long, "-c", ASK_TWICE) as client:
        assert client.stdout.readline().strip() == impasto.__version__
        (first,) = home.servers()
        os.kill(first, signal.SIGKILL)
        home.ask(home.cron | long)
        assert client.communicate("\n", timeout=60) == (f"{impasto.__version__}\n", "")
    (second,) = home.servers()
    assert first != second
