"""The private local server: found if it runs, started if it doesn't, shared by all clients of one user.

Clients find it by its state folder, whatever session they are in: it holds the address, a lock for who starts it
and one that lives as long as it does. `impasto serve` keeps its jobs in another folder.

It listens on a Unix socket in a folder that only the user can enter; the file system is its access control.
On Windows it listens on a loopback port. What is missing there: a token beside the port, since any user of that
machine can reach a loopback port.

Each version has its own socket, but all versions keep their jobs in one state folder, which one server holds at a
time. So a starter first ends what an older version left running; its unfinished jobs are in the journal and go on.
"""

import contextlib
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import grpc

from impasto._config import SERVER_VARIABLE, STATE_DIR_VARIABLE
from impasto._exceptions import LocalServerError
from impasto._file_lock import is_locked, lock, locked
from impasto._owner import signed
from impasto._private_folder import POSIX, is_private, make_private, socket_path
from impasto._version import __version__
from impasto.v1 import stylizer_pb2, stylizer_pb2_grpc

IDLE_EXIT_S = 900
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 15.0
"""A server that is told to stop gives its jobs 10 s. After this it is killed, which loses nothing either."""
POLL_S = 0.05
PID_BYTES = 100
"""Longer than any process id and name of a machine: 64 characters at most on Linux."""
LOG_LINES = 20
SERVER_NEEDS = ("impasto_server", "torch", "numpy", "safetensors", "grpc_health", "grpc_reflection")


@dataclass(frozen=True, slots=True)
class Process:
    """Where a server's process is."""

    id: int
    machine: str
    """A home folder may be shared between machines, and a process id says nothing on another one."""


@dataclass(frozen=True, slots=True)
class LocalServer:
    """Where a version's private local server is, whether it runs or not."""

    state_dir: Path
    version: str = __version__

    @property
    def run_dir(self) -> Path:
        """What clients find it by; belongs to the user alone."""
        return self.state_dir / "run"

    @property
    def log_path(self) -> Path:
        """What it says."""
        return self.state_dir / "server.log"

    @property
    def address_path(self) -> Path:
        """Where the starter writes the address. The version is in the name, so that a client never talks to an older
        server by accident.
        """
        return self.run_dir / f"server-{self.version}.address"

    @property
    def pid_path(self) -> Path:
        """Where the starter writes the server's process id and machine; locked for as long as that process lives."""
        return self.run_dir / f"server-{self.version}.pid"

    @property
    def address(self) -> str:
        """What gRPC connects to; empty while none was started."""
        try:
            return self.address_path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return ""

    def ensure_running(self, timeout_s: float = START_TIMEOUT_S) -> str:
        """The address of a server that answers; starts one if need be. Raises LocalServerError."""
        make_private(self.run_dir)
        if self.accepts():
            return self.wait_until_serving(None, timeout_s)
        try:
            with locked(self.run_dir / "server.lock"):
                # Another client may have started it while we waited for the lock.
                if self.accepts():
                    return self.wait_until_serving(None, timeout_s)
                self.make_way()
                return self.start(timeout_s)
        except LocalServerError:
            raise
        except OSError as error:
            raise LocalServerError("The private local server can't be started.", details=str(error)) from None

    def accepts(self) -> bool:
        """True if somebody listens; a file left behind by a dead server doesn't."""
        kind, _, place = self.address.rpartition(":")
        try:
            if kind == "unix":
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.settimeout(1.0)
                    probe.connect(place)
                # After a clean-up of /tmp the folder may be somebody else's.
                return is_private(Path(place).parent)
            socket.create_connection((kind, int(place)), timeout=1.0).close()
        except (OSError, ValueError):
            return False
        return True

    def start(self, timeout_s: float) -> str:
        """Starts a server that outlives this process. The caller holds the lock."""
        if missing := missing_server_modules():
            raise LocalServerError(
                "No server is configured, and a private one can't be started on this machine because "
                f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed. "
                "Install it with `pip install 'impasto[server]'`, or set "
                f"{SERVER_VARIABLE} to the address of a server (HOST:PORT)."
            )
        # What the one before said last may be why it died.
        with contextlib.suppress(FileNotFoundError):
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        if POSIX:
            address = f"unix:{socket_path(self.run_dir, f'server-{self.version}.sock')}"
        else:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                address = f"127.0.0.1:{free.getsockname()[1]}"
        # On a full disk what is there already can still be used, and so can the server: to delete jobs.
        if address != self.address:
            self.address_path.write_text(address, encoding="utf-8")
        self.pid_path.touch()
        # -P: a torch.py that lies in the current folder must not become part of the server.
        command = [sys.executable, "-P", "-m", "impasto_server", "--listen", address, "--private"]
        command += ["--state-dir", str(self.state_dir), "--idle-exit-s", str(IDLE_EXIT_S)]
        with self.log_path.open("wb") as log, self.pid_path.open("r+b") as pid:
            if POSIX:
                # The server inherits the open file, and with it the lock, which the system lets go of at its death.
                lock(pid)
            # Takes the room on the disk before there is a process to write down, and clears what is there.
            pid.write(b" " * PID_BYTES)
            pid.seek(0)
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[pid.fileno()] if POSIX else [],
            )
            pid.write(f"{process.pid} {socket.gethostname()}".encode())
        self.wait_until_serving(process, timeout_s)
        # It is meant to outlive us: without this, Popen warns that it still runs when it is forgotten.
        process.returncode = 0
        return address

    def make_way(self) -> None:
        """Ends what other versions left running, and waits for one of this version that is stopping.

        Raises LocalServerError if a newer version runs, or one on another machine. The caller holds the lock.
        """
        for path in sorted(self.run_dir.glob("server-*.pid")):
            other = replace(self, version=path.stem.removeprefix("server-"))
            if (process := other.process()) is None:
                continue
            if process.machine != socket.gethostname():
                raise LocalServerError(
                    f"A private server runs on {process.machine}, with the same folder as one here would have: "
                    f"{self.state_dir}. Wait until it has ended, 15 minutes after its last work, or give this "
                    f"machine a folder of its own with {STATE_DIR_VARIABLE}."
                )
            if release(other.version) > release(self.version):
                raise LocalServerError(
                    f"A private server of Impasto {other.version} runs, which is newer than this client "
                    f"({self.version}), and there is one at a time. Update this client, or give it a folder of "
                    f"its own with {STATE_DIR_VARIABLE}."
                )
            other.end()

    def process(self) -> Process | None:
        """Its process, listening or on its way out; None if it doesn't live."""
        try:
            with self.pid_path.open("r+b") as file:
                lives = is_locked(file) if POSIX else self.accepts()
                number, machine = file.read().decode().split()
        except (OSError, ValueError):
            return None
        return Process(int(number), machine) if lives else None

    def end(self, timeout_s: float = END_TIMEOUT_S) -> None:
        """Tells it to stop and waits until it has; what takes too long is killed. It runs on this machine."""
        for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            deadline = time.monotonic() + timeout_s
            if (process := self.process()) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.id, number)
            while self.process() is not None and time.monotonic() < deadline:
                time.sleep(POLL_S)
        if (address := self.address).startswith("unix:"):
            Path(address.removeprefix("unix:")).unlink(missing_ok=True)
        for path in (self.address_path, self.pid_path):
            path.unlink(missing_ok=True)

    def wait_until_serving(self, process: "subprocess.Popen[bytes] | None", timeout_s: float) -> str:
        """Waits until the server answers a call, or raises LocalServerError, its log's end in the details."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if process is not None and (code := process.poll()) is not None:
                raise LocalServerError(
                    f"The private local server stopped while it was starting (exit code {code}).",
                    details=self.log_tail(),
                )
            if self.accepts() and answers(self.address):
                return self.address
            time.sleep(POLL_S)
        if process is not None:
            process.kill()
            process.wait()
        text = f"The private local server did not answer within {timeout_s:g} s."
        raise LocalServerError(text, details=self.log_tail())

    def log_tail(self) -> str:
        """The end of the log and where all of it is, for an error's details."""
        try:
            lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        if not lines:
            return f"Its log is empty: {self.log_path}"
        text = "\n".join(f"  {line}" for line in lines[-LOG_LINES:])
        return f"Its log ends with:\n{text}\nThe whole log: {self.log_path}"

    def died(self) -> LocalServerError:
        """The error of a server that was there and isn't any more."""
        return LocalServerError(
            "The private local server stopped answering. The next command or call starts a new one, "
            "and unfinished jobs go on.",
            details=self.log_tail(),
        )


def missing_server_modules() -> list[str]:
    """What the server needs and this Python lacks."""
    return [name for name in SERVER_NEEDS if importlib.util.find_spec(name) is None]


def release(version: str) -> tuple[int, ...]:
    """`1.2.0rc1` as (1, 2, 0), to compare."""
    return tuple(int(number) for number in re.findall(r"\d+", re.split(r"[^\d.]", version)[0]))


def local_server() -> LocalServer:
    """This user's private local server; IMPASTO_STATE_DIR moves it elsewhere, with all that it keeps."""
    if override := os.environ.get(STATE_DIR_VARIABLE):
        return LocalServer(Path(override).absolute())
    import platformdirs  # only where it is needed: `import impasto` has a budget

    # Not the folder of `impasto serve`, which is beside it: one server has a folder at a time.
    return LocalServer(platformdirs.user_state_path("impasto") / "private")


def answers(address: str) -> bool:
    """True if an Impasto server answers a call there within two seconds."""
    # A pool of its own: otherwise gRPC remembers earlier failures at this address, and waits.
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            stub = signed(stylizer_pb2_grpc.StylizerStub(channel))
            stub.GetServerInfo(stylizer_pb2.GetServerInfoRequest(), timeout=2.0)
        except grpc.RpcError:
            return False
    return True
