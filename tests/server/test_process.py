"""The server as a process: quick to start, tells watchers when it goes, survives its worker, leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests import wire
from tests.server_process import ServerProcess
from tests.waiting import wait_until

LONG = {"size_px": 128, "steps": 2000}


def is_alive(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_the_front_door_never_imports_torch() -> None:
    code = "import sys, impasto_server.__main__; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_health_and_reflection_are_served(server: ServerProcess) -> None:
    health = health_pb2_grpc.HealthStub(server.channel)
    for service in ("", "impasto.v1.Stylizer"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    reflection = reflection_pb2_grpc.ServerReflectionStub(server.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = reflection.ServerReflectionInfo(iter([request]))
    assert "impasto.v1.Stylizer" in {service.name for service in answer.list_services_response.service}


def test_a_server_whose_log_is_on_a_full_disk_serves_all_the_same(tmp_path: Path) -> None:
    listen = f"unix:{tmp_path}/s.sock"
    command = [sys.executable, "-m", "impasto_server", "--listen", listen, "--state-dir", str(tmp_path / "state")]
    with (
        Path("/dev/full").open("wb") as full,
        subprocess.Popen(command, stdout=full, stderr=full) as process,
        grpc.insecure_channel(listen) as channel,
    ):
        try:
            health = health_pb2_grpc.HealthStub(channel)
            answer = health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=30)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        finally:
            process.kill()


def test_a_stopping_server_finishes_what_runs_and_takes_nothing_new(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path, "--drain-s", "90") as server:
        content = wire.upload(server.stub, photo_png)
        job = wire.create_job(server.stub, content, steps=60, size_px=128)
        events = wire.watch(server.stub, job.name)
        next(event for event in events if event.HasField("progress"))
        health = health_pb2_grpc.HealthStub(server.channel)
        server.terminate()
        wait_until(lambda: health.Check(health_pb2.HealthCheckRequest()).status == 2)  # NOT_SERVING
        with pytest.raises(grpc.RpcError) as caught:
            wire.create_job(server.stub, content)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert wire.reason(caught.value) == "SERVER_STOPPING"
        assert wire.states(list(events))[-1] == "SUCCEEDED"
        assert server.wait() == 0


def test_watchers_of_a_job_that_outlasts_the_patience_are_told(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path, "--drain-s", "0.5") as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), **LONG)
        events = wire.watch(server.stub, job.name)
        next(event for event in events if event.HasField("progress"))
        server.terminate()
        with pytest.raises(grpc.RpcError) as caught:
            list(events)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert wire.reason(caught.value) == "SERVER_STOPPING"
        assert server.wait() == 0


def test_a_second_signal_ends_it_at_once(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path, "--drain-s", "60") as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), **LONG)
        next(event for event in wire.watch(server.stub, job.name) if event.HasField("progress"))
        server.terminate()
        time.sleep(0.3)
        assert server.process.poll() is None
        server.terminate()
        assert server.wait(10) == 0


def test_a_worker_that_is_killed_costs_an_attempt_and_not_the_job(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path) as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), steps=40, size_px=128)
        events = wire.watch(server.stub, job.name)
        seen = [next(event for event in events if event.HasField("progress"))]
        (worker,) = server.worker_process_ids()
        os.kill(worker, signal.SIGKILL)
        seen += list(events)
        assert wire.states(seen)[-1] == "SUCCEEDED"
        assert wire.get_job(server.stub, job.name).attempt == 2
        sequences = wire.sequences(seen)
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))


def killed_in_each_attempt(server: ServerProcess, name: str, how: signal.Signals) -> int:
    """Kills the job's worker as soon as it makes progress, again and again to the job's end. Returns how often."""
    attempts = 0
    for event in wire.watch(server.stub, name, timeout_s=280):
        if event.HasField("progress") and event.attempt > attempts:
            attempts = event.attempt
            os.kill(server.worker_process_ids()[0], how)
    return attempts


@pytest.mark.timeout(300)  # a worker takes its seconds to start, and here it does so five times
def test_a_job_whose_workers_keep_dying_fails_with_advice(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path, "--checkpoint-s", "1000") as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), **LONG)
        attempts = killed_in_each_attempt(server, job.name, signal.SIGKILL)
        ended = wire.get_job(server.stub, job.name)
        assert attempts == 5
        events = list(wire.watch(server.stub, job.name))
        assert wire.states(events)[-1] == "FAILED"
        # The first may have had a checkpoint, and then it got somewhere.
        notices = [event.notice.reason for event in events if event.HasField("notice")]
        assert notices in (["WORKER_KILLED"] * 3, ["WORKER_KILLED"] * 4)
        assert re.search(
            r"was killed, 5 times at step \d+\. It probably ran out of memory at 128 px: try --size 88\.",
            ended.error.message,
        )
        again = wire.create_job(server.stub, ended.spec.content)
        assert wire.states(list(wire.watch(server.stub, again.name)))[-1] == "SUCCEEDED"


def test_a_job_whose_workers_keep_crashing_fails_sooner_for_no_tile_is_to_blame(
    tmp_path: Path, photo_png: bytes
) -> None:
    with ServerProcess(tmp_path, "--checkpoint-s", "1000") as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), **LONG)
        attempts = killed_in_each_attempt(server, job.name, signal.SIGSEGV)
        assert attempts == 3
        assert re.search(
            r"crashed \(SIGSEGV\), 3 times at step \d+\.", wire.get_job(server.stub, job.name).error.message
        )


def test_a_worker_that_does_not_answer_a_cancel_is_killed(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path) as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), **LONG)
        next(event for event in wire.watch(server.stub, job.name) if event.HasField("progress"))
        (worker,) = server.worker_process_ids()
        os.kill(worker, signal.SIGSTOP)
        wire.cancel(server.stub, job.name)
        events = list(wire.watch(server.stub, job.name))
        assert wire.states(events)[-1] == "CANCELLED"
        assert not any(event.HasField("notice") for event in events), "memory was not to blame"
        assert not is_alive(worker)


def test_workers_end_with_a_server_that_is_killed(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path) as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), **LONG)
        next(event for event in wire.watch(server.stub, job.name) if event.HasField("progress"))
        workers = server.worker_process_ids()
        server.process.kill()
        wait_until(lambda: not any(map(is_alive, workers)), timeout_s=2)


def test_an_idle_private_server_goes_by_itself(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--idle-exit-s", "1", listen=f"unix:{tmp_path}/s.sock") as server:
        assert server.wait(20) == 0


def test_a_port_in_use_is_a_sentence(server: ServerProcess, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "impasto_server", "--listen", server.address, "--state-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"Can't listen on {server.address}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_device_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "impasto_server", "--listen", "127.0.0.1:0", "--device", "cuda:7"]
    done = subprocess.run([*command, "--state-dir", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cuda:7 is not there; found: cpu" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux shows a process's environment")
def test_a_worker_finds_the_environment_for_painting_unless_its_owner_says_otherwise(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, GOMP_SPINCOUNT="7") as server:
        wait_until(lambda: server.worker_process_ids())
        environment = Path(f"/proc/{server.worker_process_ids()[0]}/environ").read_text(encoding="utf-8").split("\0")
    assert "THP_MEM_ALLOC_ENABLE=1" in environment
    assert "GOMP_SPINCOUNT=7" in environment
