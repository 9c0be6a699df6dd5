"""A disk that is full to the last byte: what is refused, what still works, and that the server stays and starts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest

from impasto.v1 import stylizer_pb2
from tests import wire
from tests.server_process import ServerProcess
from tests.small_disk import fill, small_disk
from tests.waiting import wait_until

OPTIONS = ("--checkpoint-s", "0.5")


def noise_png() -> bytes:
    """A picture that no server has yet."""
    return wire.png(np.random.default_rng().integers(0, 256, (200, 300, 3), np.uint8))


def keep_log_elsewhere(disk: Path, log: Path) -> None:
    """A server's log takes room too, but isn't what is tested here."""
    log.touch()
    (disk / "server.log").symlink_to(log)


def assert_refused(caught: pytest.ExceptionInfo[grpc.RpcError]) -> None:
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, caught.value
    assert wire.reason(caught.value) == "DISK_FULL"
    assert wire.full(caught.value)


def is_gone(server: ServerProcess, picture: str) -> bool:
    try:
        wire.download(server.stub, picture)
    except grpc.RpcError as error:
        return "no image" in str(error.details())
    return False


@pytest.mark.parametrize("jobs_before", [0, 400], ids=["with a young journal", "with a journal that has grown"])
def test_a_server_on_a_full_disk_refuses_deletes_stays_and_starts_and_loses_nothing(
    tmp_path: Path, photo_png: bytes, jobs_before: int
) -> None:
    with small_disk(tmp_path / "disk", megabytes=96) as disk:
        ballast = disk / "ballast"
        keep_log_elsewhere(disk, tmp_path / "server.log")
        with ServerProcess(disk, *OPTIONS) as server:
            content = wire.upload(server.stub, photo_png)
            ended = wire.create_job(server.stub, content, size_px=256, steps=2)
            assert wire.states(list(wire.watch(server.stub, ended.name)))[-1] == "SUCCEEDED"
            picture = wire.get_job(server.stub, ended.name).result.image.name
            runs = wire.create_job(server.stub, content, size_px=128, steps=300)
            waits = [wire.create_job(server.stub, content) for _ in range(2)]
            create_and_cancel(server, content, jobs_before)
            next(event for event in wire.watch(server.stub, runs.name) if event.progress.step >= 2)
            fill(ballast)
            with pytest.raises(grpc.RpcError) as caught:
                wire.create_job(server.stub, content)
            assert_refused(caught)
            with pytest.raises(grpc.RpcError) as caught:
                wire.upload(server.stub, noise_png())
            assert_refused(caught)
            wire.delete(server.stub, ended.name)
            with pytest.raises(grpc.RpcError, match="no job"):
                wire.get_job(server.stub, ended.name)
            wait_until(lambda: is_gone(server, picture), timeout_s=20)
            assert server.process.poll() is None
            fill(ballast)  # what the deletion left, and the reserve
            server.process.kill()
            server.wait()
        with ServerProcess(disk, *OPTIONS) as server:
            wire.get_job(server.stub, runs.name)
            with pytest.raises(grpc.RpcError) as caught:
                wire.create_job(server.stub, content)
            assert_refused(caught)
            assert server.process.poll() is None
            ballast.unlink()
            for job in (runs, *waits):
                assert wire.states(list(wire.watch(server.stub, job.name)))[-1] == "SUCCEEDED"
            wire.create_job(server.stub, content)
            assert len(server.stub.ListJobs(stylizer_pb2.ListJobsRequest(page_size=1000)).jobs) == jobs_before + 4


def create_and_cancel(server: ServerProcess, content: str, count: int) -> None:
    """Makes the journal grow: some 25 KB a job."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: wire.cancel(server.stub, wire.create_job(server.stub, content).name), range(count)))
