"""The private local server: found if it runs, started if it doesn't, shared by all clients of one user.

It listens on a Unix socket in a folder that only the user can enter; the file system is its access control.
On Windows it listens on a loopback port that is written to a file. What is missing there: a token beside the
port, since any user of that machine can reach a loopback port.
"""

import contextlib
import hashlib
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import grpc

from impasto._config import SERVER_VARIABLE, STATE_DIR_VARIABLE
from impasto._exceptions import LocalServerError
from impasto._version import __version__
from impasto.v1 import stylizer_pb2, stylizer_pb2_grpc

IDLE_EXIT_S = 900
START_TIMEOUT_S = 60.0
POLL_S = 0.05
LOG_LINES = 20
# sockaddr_un.sun_path is 108 bytes on Linux and 104 on macOS, with the final NUL.
LONGEST_SOCKET_PATH = 103
SERVER_NEEDS = ("impasto_server", "torch", "numpy", "safetensors", "grpc_health", "grpc_reflection")
POSIX = os.name == "posix"


@dataclass(frozen=True, slots=True)
class LocalServer:
    """Where this version's private local server is, whether it runs or not."""

    runtime_dir: Path
    """Socket and lock; belongs to the user alone."""
    log_path: Path
    state_dir: Path | None
    """Passed on to the server; None means the server's own default."""

    @property
    def socket_path(self) -> Path:
        """The version is in the name, so that an upgrade starts its own server beside the old one."""
        return self.runtime_dir / f"server-{__version__}.sock"

    @property
    def port_path(self) -> Path:
        """Windows only: where the server's port is written."""
        return self.runtime_dir / f"server-{__version__}.port"

    @property
    def address(self) -> str:
        """What gRPC connects to; empty on Windows while no server was started."""
        if POSIX:
            return f"unix:{self.socket_path}"
        try:
            return f"127.0.0.1:{int(self.port_path.read_text())}"
        except (OSError, ValueError):
            return ""

    def ensure_running(self, timeout_s: float = START_TIMEOUT_S) -> str:
        """The address of a server that answers; starts one if need be. Raises LocalServerError."""
        make_private(self.runtime_dir)
        if self.accepts():
            return self.wait_until_serving(None, timeout_s)
        with locked(self.runtime_dir / f"server-{__version__}.lock"):
            # Another client may have started it while we waited for the lock.
            if self.accepts():
                return self.wait_until_serving(None, timeout_s)
            return self.start(timeout_s)

    def accepts(self) -> bool:
        """True if somebody listens; a file left behind by a dead server doesn't."""
        if not self.address:
            return False
        try:
            if POSIX:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.settimeout(1.0)
                    probe.connect(str(self.socket_path))
            else:
                host, port = self.address.split(":")
                socket.create_connection((host, int(port)), timeout=1.0).close()
        except OSError:
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
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        if POSIX:
            self.socket_path.unlink(missing_ok=True)
            listen = self.address
        else:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                listen = f"127.0.0.1:{free.getsockname()[1]}"
            self.port_path.write_text(listen.rpartition(":")[2])
        # -P: a torch.py that lies in the current folder must not become part of the server.
        command = [sys.executable, "-P", "-m", "impasto_server", "--listen", listen, "--private"]
        command += ["--idle-exit-s", str(IDLE_EXIT_S)]
        if self.state_dir is not None:
            command += ["--state-dir", str(self.state_dir)]
        with self.log_path.open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        address = self.wait_until_serving(process, timeout_s)
        # It is meant to outlive us: without this, Popen warns that it still runs when it is forgotten.
        process.returncode = 0
        return address

    def wait_until_serving(self, process: "subprocess.Popen[bytes] | None", timeout_s: float) -> str:
        """Waits until the server answers a call, or raises LocalServerError with the end of its log."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if process is not None and (code := process.poll()) is not None:
                raise LocalServerError(
                    f"The private local server stopped while it was starting (exit code {code}).{self.log_tail()}"
                )
            if self.accepts() and answers(self.address):
                return self.address
            time.sleep(POLL_S)
        if process is not None:
            process.kill()
            process.wait()
        raise LocalServerError(f"The private local server did not answer within {timeout_s:g} s.{self.log_tail()}")

    def log_tail(self) -> str:
        """The end of the log and where all of it is, for messages."""
        try:
            lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        if not lines:
            return f" Its log is empty: {self.log_path}"
        text = "\n".join(f"  {line}" for line in lines[-LOG_LINES:])
        return f" Its log ends with:\n{text}\nThe whole log: {self.log_path}"

    def died_text(self) -> str:
        """What to tell a user whose server was there and isn't any more."""
        return (
            f"The private local server stopped answering; the next command or call starts a new one.{self.log_tail()}"
        )


def missing_server_modules() -> list[str]:
    """What the server needs and this Python lacks."""
    return [name for name in SERVER_NEEDS if importlib.util.find_spec(name) is None]


def local_server() -> LocalServer:
    """This user's private local server; IMPASTO_STATE_DIR moves it elsewhere, with all that it keeps."""
    if override := os.environ.get(STATE_DIR_VARIABLE):
        state_dir = Path(override).absolute()
        return LocalServer(short_enough(state_dir / "run"), state_dir / "server.log", state_dir)
    import platformdirs

    return LocalServer(short_enough(user_runtime_dir()), platformdirs.user_state_path("impasto") / "server.log", None)


def user_runtime_dir() -> Path:
    """A folder for sockets that lives as long as the user's session."""
    import platformdirs

    if sys.platform.startswith("linux") and not os.environ.get("XDG_RUNTIME_DIR"):
        return temporary_dir("session")
    return platformdirs.user_runtime_path("impasto")


def short_enough(runtime_dir: Path) -> Path:
    """The same folder, or one with a short name that stands for it."""
    if len(os.fsencode(runtime_dir / f"server-{__version__}.sock")) <= LONGEST_SOCKET_PATH:
        return runtime_dir
    return temporary_dir(hashlib.sha256(os.fsencode(runtime_dir)).hexdigest()[:12])


def temporary_dir(name: str) -> Path:
    """A folder of ours among the temporary files."""
    owner = os.getuid() if POSIX else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"impasto-{owner}-{name}"


def make_private(folder: Path) -> None:
    """Makes sure that nobody else can enter the folder. Raises LocalServerError if somebody else owns it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not POSIX:
            return
        status = folder.lstat()
        # In a shared /tmp somebody may have made the folder before us, or put a link there.
        if status.st_uid != os.getuid() or folder.is_symlink():
            raise LocalServerError(
                f"{folder} belongs to somebody else, so a private server can't listen there. "
                f"Remove it, or set XDG_RUNTIME_DIR or {STATE_DIR_VARIABLE} to a folder of your own."
            )
        if status.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        if isinstance(error, LocalServerError):
            raise
        raise LocalServerError(f"{folder} can't be made for the private local server: {error}.") from None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock between processes; the system lets go of it if we die."""
    with path.open("a+b") as file:
        lock(file)
        try:
            yield
        finally:
            unlock(file)


if sys.platform != "win32":
    import fcntl

    def lock(file: IO[bytes]) -> None:
        """Waits for the lock."""
        fcntl.flock(file, fcntl.LOCK_EX)

    def unlock(file: IO[bytes]) -> None:
        """Lets go of it."""
        fcntl.flock(file, fcntl.LOCK_UN)

else:
    import msvcrt

    def lock(file: IO[bytes]) -> None:
        """Waits for the lock."""
        file.seek(0)
        while True:
            with contextlib.suppress(OSError):
                # Tries for ten seconds and then raises.
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                return

    def unlock(file: IO[bytes]) -> None:
        """Lets go of it."""
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)


def answers(address: str) -> bool:
    """True if an Impasto server answers a call there within two seconds."""
    # A pool of its own: otherwise gRPC remembers earlier failures at this address, and waits.
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            stylizer_pb2_grpc.StylizerStub(channel).GetServerInfo(stylizer_pb2.GetServerInfoRequest(), timeout=2.0)
        except grpc.RpcError:
            return False
    return True
