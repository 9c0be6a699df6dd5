"""A real server in a process of its own, as an operator would start it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import grpc

from impasto.v1 import stylizer_pb2_grpc


def run_impasto(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """`impasto` to its end."""
    command = [sys.executable, "-m", "impasto", *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


# A test run that is killed leaves no server behind, where the system can see to it.
ENDS_WITH_US = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []


class ServerProcess:
    """Starts `python -m impasto_server` and knows its address; a context manager that leaves nothing behind.

    It ends with the thread that started it.
    """

    def __init__(self, state_dir: Path, *options: str, listen: str = "127.0.0.1:0", **environment: str) -> None:
        self.state_dir = state_dir
        state_dir.mkdir(parents=True, exist_ok=True)
        self.log_path = state_dir / "server.log"
        command = [sys.executable, "-m", "impasto_server", "--listen", listen, "--state-dir", str(state_dir)]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*ENDS_WITH_US, *command, *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                # Jobs of 64 px gain nothing from more threads, and lose much where other processes want the cores.
                env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            )
        assert self.process.stdout
        line = self.process.stdout.readline().decode()
        if "listening on" not in line:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
        assert "listening on" in line, self.log()
        self.address = line.split()[-1]
        self.channel = grpc.insecure_channel(self.address)
        self.stub = stylizer_pb2_grpc.StylizerStub(self.channel)

    def invite(self, name: str, *options: str, address: str = "") -> str:
        """An invitation for a guest, by the operator's own command."""
        where = ["--state-dir", self.state_dir, "--address", address or self.address]
        done = run_impasto("guests", "invite", name, *where, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[-1]

    def log(self) -> str:
        """Everything the server has said so far."""
        return self.log_path.read_text()

    def worker_process_ids(self) -> list[int]:
        """Of the server's worker processes, as the system knows them."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [
            pid for pid in map(int, children) if b"engine.local.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]

    def terminate(self) -> None:
        """Asks it to stop, as an init system does."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float = 60) -> int:
        """Its exit status."""
        return self.process.wait(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()
