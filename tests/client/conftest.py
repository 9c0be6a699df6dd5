"""Real gRPC servers that follow a script, for what a well-behaved server never does."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from impasto._local import LocalServer, local_server
from impasto.v1 import job_pb2, server_info_pb2, stylizer_pb2, stylizer_pb2_grpc

JOB = "jobs/11111111-2222-4333-8444-555555555555"
Script = Callable[[stylizer_pb2.WatchJobRequest, grpc.ServicerContext], Iterator[job_pb2.JobEvent]]


def state_event(sequence: int, state: int) -> job_pb2.JobEvent:
    """A journaled change of state."""
    return job_pb2.JobEvent(sequence=sequence, attempt=1, state=job_pb2.StateChange(state=state))


def progress_event(sequence: int, step: int = 1) -> job_pb2.JobEvent:
    """A journaled step."""
    return job_pb2.JobEvent(sequence=sequence, attempt=1, progress=job_pb2.Progress(step=step, steps=9))


class Scripted(stylizer_pb2_grpc.StylizerServicer):
    """Answers GetServerInfo and GetJob; each call of WatchJob plays the next scene, the last one again and again."""

    def __init__(self, *scenes: Script, state: int = job_pb2.Job.STATE_RUNNING) -> None:
        self.scenes = list(scenes)
        self.state = state
        self.watched: list[stylizer_pb2.WatchJobRequest] = []
        self.created: list[stylizer_pb2.CreateJobRequest] = []
        self.dropped = 0

    def GetServerInfo(self, request, context):  # noqa: N802 (the contract's name)
        info = server_info_pb2.ServerInfo(version="0.0.9", contract_revision=1)
        return stylizer_pb2.GetServerInfoResponse(server=info)

    def GetJob(self, request, context):  # noqa: N802 (the contract's name)
        return stylizer_pb2.GetJobResponse(job=job_pb2.Job(name=request.name, state=self.state))

    def WatchJob(self, request, context):  # noqa: N802 (the contract's name)
        self.watched.append(request)
        scene = self.scenes.pop(0) if len(self.scenes) > 1 else self.scenes[0]
        context.add_callback(self._note_drop)
        for event in scene(request, context):
            yield stylizer_pb2.WatchJobResponse(event=event)

    def _note_drop(self) -> None:
        self.dropped += 1


@dataclass
class Running:
    """A scripted server that runs."""

    address: str
    servicer: Scripted
    server: grpc.Server = field(repr=False)


@contextmanager
def running(servicer: stylizer_pb2_grpc.StylizerServicer, listen: str = "127.0.0.1:0") -> Iterator[Running]:
    """The servicer behind a port of loopback."""
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    stylizer_pb2_grpc.add_StylizerServicer_to_server(servicer, server)
    port = server.add_insecure_port(listen)
    server.start()
    try:
        yield Running(listen if listen.startswith("unix:") else f"127.0.0.1:{port}", servicer, server)
    finally:
        server.stop(0).wait()


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """For child processes that run elsewhere: no chosen server, an absolute PYTHONPATH."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("IMPASTO_")}
    if path := variables.get("PYTHONPATH"):
        variables["PYTHONPATH"] = os.pathsep.join(os.path.abspath(part) for part in path.split(os.pathsep))
    return variables


@pytest.fixture
def private_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No server chosen anywhere, and a state folder of its own."""
    monkeypatch.delenv("IMPASTO_SERVER", raising=False)
    monkeypatch.setenv("IMPASTO_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    # As in tests/server_process.py: small jobs gain nothing from more threads.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path / "state"


def server_processes(server: LocalServer) -> list[int]:
    """Processes that were started to listen on this version's socket."""
    return processes_with(b"impasto_server", os.fsencode(server.state_dir), f"server-{server.version}.sock".encode())


def processes_with(*words: bytes) -> list[int]:
    """Living processes whose command line has all of these."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if all(word in command for word in words):
                found.append(int(entry.name))
    return found


@pytest.fixture
def private(private_state: Path) -> Iterator[LocalServer]:
    """A local server that is stopped after the test, whatever its version."""
    server = local_server()
    yield server
    for process in processes_with(b"impasto_server", os.fsencode(server.state_dir)):
        os.kill(process, signal.SIGKILL)


@pytest.fixture
def serve() -> Iterator[Callable[..., Running]]:
    """Starts scripted servers, and stops them after the test."""
    with ExitStack() as stack:
        yield lambda *scenes, **options: stack.enter_context(running(Scripted(*scenes, **options)))
