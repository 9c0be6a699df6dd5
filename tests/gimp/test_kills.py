"""Whatever is killed while it paints: GIMP's image stays whole, nobody is orphaned, the job can be fetched."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from impasto import Client, Job, JobState
from tests.gimp.conftest import REAL_HELPER
from tests.gimp.root import GimpRoot
from tests.server_process import ServerProcess

PLUG_IN = "plug-ins/impasto/impasto.py"
HELPER = "impasto helper"


def wait_for(condition: Callable[[], object], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def running_job(client: Client) -> Job:
    """The newest job, once it has made a step."""
    found: list[Job] = []

    def painting() -> bool:
        found[:] = [job for job in client.jobs() if job.state is JobState.RUNNING and job.progress]
        return bool(found)

    wait_for(painting, 40, "no job was started")
    return found[0]


@pytest.fixture
def painting(gimp: GimpRoot, painter: ServerProcess) -> Iterator[tuple[subprocess.Popen[bytes], Job]]:
    """GIMP in the middle of a long painting, and its job."""
    gimp.use_helper(*REAL_HELPER)
    with Client(painter.address) as client, gimp.started("killed", {"server": painter.address}) as process:
        try:
            yield process, running_job(client)
        finally:
            process.kill()


def no_orphans(gimp: GimpRoot) -> None:
    wait_for(lambda: not gimp.processes(PLUG_IN) and not gimp.processes(HELPER), 2, "somebody outlived the end")


def still_fetchable(job: Job) -> None:
    """It goes on by itself; its picture can be had."""
    assert job.refresh().state in (JobState.RUNNING, JobState.SUCCEEDED)
    job.cancel()
    wait_for(lambda: job.refresh().state.ended, 20, "the job did not end")
    assert job.partial_bytes().startswith(b"\x89PNG")


def image_is_whole(gimp: GimpRoot, process: subprocess.Popen[bytes]) -> str:
    process.wait(30)
    answer = gimp.outcome().answers["killed"]
    assert answer["source_untouched"]
    assert [layer["name"] for layer in answer["layers"]] == ["photo"]
    error: str = answer["error"]
    return error


def test_the_status_bars_cancel_kills_the_plug_in(
    gimp: GimpRoot, painting: tuple[subprocess.Popen[bytes], Job]
) -> None:
    process, job = painting
    for pid in gimp.processes(PLUG_IN):
        os.kill(pid, signal.SIGKILL)
    no_orphans(gimp)
    still_fetchable(job)
    image_is_whole(gimp, process)


def test_gimp_itself_is_killed(gimp: GimpRoot, painting: tuple[subprocess.Popen[bytes], Job]) -> None:
    process, job = painting
    process.send_signal(signal.SIGKILL)
    process.wait()
    no_orphans(gimp)
    still_fetchable(job)


def test_the_helper_is_killed(gimp: GimpRoot, painting: tuple[subprocess.Popen[bytes], Job]) -> None:
    process, job = painting
    for pid in gimp.processes(HELPER):
        os.kill(pid, signal.SIGKILL)
    assert "helper stopped unexpectedly" in image_is_whole(gimp, process)
    no_orphans(gimp)
    still_fetchable(job)


def test_the_server_is_killed_and_comes_back(gimp: GimpRoot, tmp_path: Path) -> None:
    gimp.use_helper(*REAL_HELPER)
    with ServerProcess(tmp_path) as server:
        address = server.address
        with gimp.started("killed", {"server": address}) as process, Client(address) as client:
            job = running_job(client)
            server.process.send_signal(signal.SIGKILL)
            server.wait()
            with ServerProcess(tmp_path, listen=address):
                process.wait(100)
                answer = gimp.outcome().answers["killed"]
                assert answer["status"] == "success", answer
                assert answer["source_untouched"]
                assert len(answer["layers"]) == 2
                assert client.job(job.name).state is JobState.SUCCEEDED
    no_orphans(gimp)
