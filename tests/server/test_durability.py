"""A job outlives its connection, its client, its worker and its server."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import grpc
import pytest

from impasto.v1 import image_pb2, job_pb2, stylizer_pb2, stylizer_pb2_grpc
from tests import wire
from tests.proxy import Proxy
from tests.server_process import ServerProcess
from tests.small_disk import fill, small_disk

# 2 scales, long enough to be interrupted, short enough for a test.
JOB = {"recipe": "painterly", "size_px": 192, "steps": 60, "seed": 5}


@pytest.fixture(scope="module")
def undisturbed(server: ServerProcess, photo_png: bytes) -> str:
    """Name of the picture that JOB gives when nothing happens."""
    return finished_picture(server, wire.create_job(server.stub, wire.upload(server.stub, photo_png), **JOB).name)


def finished_picture(server: ServerProcess, name: str) -> str:
    """Follows a job to its end. The name of a picture is the hash of its bytes."""
    events = list(wire.watch(server.stub, name))
    assert wire.states(events)[-1] == "SUCCEEDED", events[-1]
    return wire.get_job(server.stub, name).result.image.name


def wait_for_step(server: ServerProcess, name: str, step: int) -> None:
    next(event for event in wire.watch(server.stub, name) if event.progress.step >= step)


def test_a_server_that_is_killed_goes_on_where_it_was_to_the_same_bytes(
    tmp_path: Path, photo_png: bytes, undisturbed: str
) -> None:
    with ServerProcess(tmp_path, "--checkpoint-s", "0.3") as server:
        content = wire.upload(server.stub, photo_png)
        running = wire.create_job(server.stub, content, **JOB)
        waiting = wire.create_job(server.stub, content)
        wait_for_step(server, running.name, 8)
        seen = list(server.stub.ListJobs(stylizer_pb2.ListJobsRequest()).jobs)
        server.process.kill()
        server.wait()
    with ServerProcess(tmp_path, "--checkpoint-s", "0.3") as server:
        again = list(server.stub.ListJobs(stylizer_pb2.ListJobsRequest()).jobs)
        assert [job.name for job in again] == [job.name for job in seen]
        assert finished_picture(server, running.name) == undisturbed
        assert wire.states(list(wire.watch(server.stub, waiting.name)))[-1] == "SUCCEEDED"
        events = list(wire.watch(server.stub, running.name))
        second = [event.progress.step for event in events if event.HasField("progress") and event.attempt == 2]
        assert second[0] > 1, "the second attempt began again instead of going on"
        assert wire.sequences(events) == list(range(1, wire.sequences(events)[-1] + 1))


def test_a_watcher_of_the_first_life_goes_on_in_the_second(tmp_path: Path, photo_png: bytes) -> None:
    seen: list[job_pb2.JobEvent] = []
    with ServerProcess(tmp_path) as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), **JOB)
        with pytest.raises(grpc.RpcError):
            for event in wire.watch(server.stub, job.name):
                seen.append(event)
                if event.progress.step >= 5:
                    server.process.kill()
    with ServerProcess(tmp_path) as server:
        seen += wire.watch(server.stub, job.name, after_sequence=wire.sequences(seen)[-1])
        assert wire.sequences(seen) == list(range(1, wire.sequences(seen)[-1] + 1))
        assert wire.states(seen) == ["QUEUED", "RUNNING", "QUEUED", "RUNNING", "SUCCEEDED"]


def test_a_worker_that_is_killed_again_and_again_gets_there_to_the_same_bytes(
    tmp_path: Path, photo_png: bytes, undisturbed: str
) -> None:
    with ServerProcess(tmp_path, "--checkpoint-s", "0.2") as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), **JOB)
        for step in (3, 9, 15, 21):
            wait_for_step(server, job.name, step)
            os.kill(server.worker_process_ids()[0], signal.SIGKILL)
        assert finished_picture(server, job.name) == undisturbed


def test_what_had_ended_can_be_fetched_from_the_next_life(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path) as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png))
        picture = wire.download(server.stub, finished_picture(server, job.name))
        server.process.kill()
        server.wait()
    with ServerProcess(tmp_path) as server:
        ended = wire.get_job(server.stub, job.name)
        assert wire.download(server.stub, ended.result.image.name) == picture


def test_a_cancel_that_the_server_took_to_its_grave_is_honoured_with_a_partial_picture(
    tmp_path: Path, photo_png: bytes
) -> None:
    with ServerProcess(tmp_path, "--checkpoint-s", "0") as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), size_px=128, steps=2000)
        wait_for_step(server, job.name, 3)
        os.kill(server.worker_process_ids()[0], signal.SIGSTOP)  # so that the cancel can't be carried out any more
        wire.cancel(server.stub, job.name)
        worker = server.worker_process_ids()[0]
        server.process.kill()
        os.kill(worker, signal.SIGKILL)
    with ServerProcess(tmp_path) as server:
        assert wire.states(list(wire.watch(server.stub, job.name)))[-1] == "CANCELLED"
        assert wire.get_job(server.stub, job.name).result.partial


def test_half_an_upload_is_gone_without_a_trace(tmp_path: Path, photo_png: bytes) -> None:
    def half() -> object:
        messages = list(wire.upload_messages(photo_png, chunk_bytes=1000))
        yield from messages[:3]
        arrived.set()
        time.sleep(30)

    arrived = threading.Event()
    with ServerProcess(tmp_path) as server:
        call = server.stub.UploadImage.future(half())
        assert arrived.wait(10)
        time.sleep(0.2)
        assert list((tmp_path / "blobs" / "incoming").iterdir())
        server.process.kill()
        server.wait()
        call.cancel()
    with ServerProcess(tmp_path):
        assert not list((tmp_path / "blobs" / "incoming").iterdir())


def test_a_reply_that_was_lost_makes_no_second_job(tmp_path: Path, photo_png: bytes) -> None:
    request_id = str(uuid.uuid4())
    with ServerProcess(tmp_path) as server:
        content = wire.upload(server.stub, photo_png)
        first = wire.create_job(server.stub, content, request_id=request_id)
        server.process.kill()
        server.wait()
    with ServerProcess(tmp_path) as server:
        assert wire.create_job(server.stub, content, request_id=request_id).name == first.name
        assert len(server.stub.ListJobs(stylizer_pb2.ListJobsRequest()).jobs) == 1


def test_the_same_request_twice_at_once_makes_one_job(server: ServerProcess, photo_png: bytes) -> None:
    content = wire.upload(server.stub, photo_png)
    request_id = str(uuid.uuid4())
    names: list[str] = []

    def ask() -> None:
        names.append(wire.create_job(server.stub, content, request_id=request_id).name)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 8
    assert len(set(names)) == 1


def test_a_steered_job_takes_the_same_turn_after_a_death(tmp_path: Path, photo_png: bytes) -> None:
    pictures = []
    for name, deadly in (("quiet", False), ("deadly", True)):
        # One checkpoint at the first step only: the second attempt has to steer by itself.
        with ServerProcess(tmp_path / name, "--checkpoint-s", "1000") as server:
            content = wire.upload(server.stub, photo_png)
            job = wire.create_job(server.stub, content, size_px=128, steps=2)  # warm, so that the queue is short
            list(wire.watch(server.stub, job.name))
            blocker = wire.create_job(server.stub, content, size_px=128, steps=2000)
            job = wire.create_job(server.stub, content, **JOB)
            request = stylizer_pb2.UpdateJobRequest(name=job.name)
            request.weights.style_weight = 0.5
            server.stub.UpdateJob(request)
            wire.cancel(server.stub, blocker.name)
            wait_for_step(server, job.name, 9)
            if deadly:
                os.kill(server.worker_process_ids()[0], signal.SIGKILL)
            pictures.append(finished_picture(server, job.name))
    assert pictures[0] == pictures[1]


def test_steering_in_flight_is_journaled_with_its_step(tmp_path: Path, photo_png: bytes) -> None:
    def first_without_tv(attempt: int) -> int:
        return next(
            event.progress.step
            for event in wire.watch(server.stub, job.name)
            if event.attempt == attempt and event.HasField("progress") and event.progress.losses.tv == 0
        )

    with ServerProcess(tmp_path, "--checkpoint-s", "1000") as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), size_px=128, steps=60)
        wait_for_step(server, job.name, 5)
        request = stylizer_pb2.UpdateJobRequest(name=job.name)
        request.weights.tv_weight = 0.0
        server.stub.UpdateJob(request)
        steered = first_without_tv(1)
        os.kill(server.worker_process_ids()[0], signal.SIGKILL)
        assert abs(first_without_tv(2) - steered) <= 1  # progress is reported every 50 ms, not every step


def test_a_job_goes_on_from_where_another_ended(server: ServerProcess, photo_png: bytes) -> None:
    content = wire.upload(server.stub, photo_png)
    first = wire.create_job(server.stub, content, **JOB)
    before = finished_picture(server, first.name)
    spec = job_pb2.JobSpec()
    spec.CopyFrom(wire.get_job(server.stub, first.name).spec)
    spec.continue_from = first.name
    spec.parameters.steps = 5
    second = server.stub.CreateJob(stylizer_pb2.CreateJobRequest(spec=spec)).job
    events = list(wire.watch(server.stub, second.name))
    last_before = [event.progress for event in wire.watch(server.stub, first.name) if event.HasField("progress")][-1]
    progress = [event.progress for event in events if event.HasField("progress")]
    assert (progress[0].scales, progress[-1].steps) == (1, 5)
    assert progress[0].losses.total == pytest.approx(last_before.losses.total, rel=0.3)
    assert wire.get_job(server.stub, second.name).result.image.name != before


def test_a_cancelled_job_can_be_continued_and_a_deleted_one_leaves_its_heir_alone(
    server: ServerProcess, photo_png: bytes
) -> None:
    content = wire.upload(server.stub, photo_png)
    first = wire.create_job(server.stub, content, size_px=128, steps=2000)
    wait_for_step(server, first.name, 3)
    wire.cancel(server.stub, first.name)
    list(wire.watch(server.stub, first.name))
    blocker = wire.create_job(server.stub, content, size_px=128, steps=2000)
    spec = job_pb2.JobSpec()
    spec.CopyFrom(first.spec)
    spec.continue_from = first.name
    spec.parameters.steps = 3
    heir = server.stub.CreateJob(stylizer_pb2.CreateJobRequest(spec=spec)).job
    server.stub.DeleteJob(stylizer_pb2.DeleteJobRequest(name=first.name))
    wire.cancel(server.stub, blocker.name)
    assert wire.states(list(wire.watch(server.stub, heir.name)))[-1] == "SUCCEEDED"


def test_a_job_that_left_nothing_cannot_be_continued(server: ServerProcess, photo_png: bytes) -> None:
    content = wire.upload(server.stub, photo_png)
    blocker = wire.create_job(server.stub, content, size_px=128, steps=2000)
    first = wire.create_job(server.stub, content)
    wire.cancel(server.stub, first.name)
    wire.cancel(server.stub, blocker.name)
    spec = job_pb2.JobSpec()
    spec.CopyFrom(first.spec)
    spec.continue_from = first.name
    with pytest.raises(grpc.RpcError) as caught:
        server.stub.CreateJob(stylizer_pb2.CreateJobRequest(spec=spec))
    assert wire.reason(caught.value) == "NOTHING_TO_CONTINUE"


def test_owners_take_turns(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path) as server:
        content = wire.upload(server.stub, photo_png)

        def ask(owner: str) -> str:
            spec = job_pb2.JobSpec(content=content, styles=[job_pb2.Style(gallery_style="mist-ink")], recipe="draft")
            spec.parameters.size_px, spec.parameters.steps = 64, 2
            request = stylizer_pb2.CreateJobRequest(spec=spec)
            return server.stub.CreateJob(request, metadata=[("impasto-client", owner)]).job.name

        names = {ask("ann"): "ann1", ask("ann"): "ann2", ask("ann"): "ann3", ask("bob"): "bob1", ask("bob"): "bob2"}
        ends = {}
        for name, short in names.items():
            list(wire.watch(server.stub, name))
            ends[wire.get_job(server.stub, name).end_time.ToNanoseconds()] = short
        order = [ends[moment] for moment in sorted(ends)]
        assert order.index("bob1") < order.index("ann3")
        assert order.index("bob2") < order.index("ann3")


def test_two_devices_paint_two_jobs_at_once(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path, "--device", "cpu", "--device", "cpu") as server:
        content = wire.upload(server.stub, photo_png)
        jobs = [wire.create_job(server.stub, content, size_px=128, steps=2000) for _ in range(2)]
        for job in jobs:
            wait_for_step(server, job.name, 1)
        assert server.stub.GetServerInfo(stylizer_pb2.GetServerInfoRequest()).server.running_jobs == 2
        for job in jobs:
            wire.cancel(server.stub, job.name)
            list(wire.watch(server.stub, job.name))


def test_a_second_server_on_the_same_state_is_refused(server: ServerProcess) -> None:
    command = [sys.executable, "-m", "impasto_server", "--listen", "127.0.0.1:0"]
    done = subprocess.run(
        [*command, "--state-dir", str(server.state_dir)], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 1
    assert f"Another server uses {server.state_dir}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        server.terminate()
        server.wait()
    database = sqlite3.connect(tmp_path / "journal.sqlite3")
    database.execute("PRAGMA user_version = 99")
    database.close()
    command = [sys.executable, "-m", "impasto_server", "--listen", "127.0.0.1:0", "--state-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert "was written by a newer Impasto (schema 99" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_older_than_is_kept_is_swept_at_the_start(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path) as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png))
        picture = finished_picture(server, job.name)
        server.terminate()
        server.wait()
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as journal, journal:
        journal.execute("UPDATE blobs SET promised_until = 0")  # it was sent long ago
    with ServerProcess(tmp_path, "--keep-days", "0") as server:
        deadline = time.monotonic() + 30
        while server.stub.ListJobs(stylizer_pb2.ListJobsRequest()).jobs or list((tmp_path / "blobs").glob("??/*")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(grpc.RpcError, match="no image"):
            wire.download(server.stub, picture)


def test_a_bounded_disk_refuses_new_work_and_lets_what_runs_end(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path, "--max-disk", "0.001") as server:
        content = wire.upload(server.stub, photo_png)
        # Its checkpoint takes more than that: the picture and two moments of it, in floats.
        job = wire.create_job(server.stub, content, size_px=400, steps=20)
        with pytest.raises(grpc.RpcError) as caught:
            for step in range(2, 20):
                wait_for_step(server, job.name, step)
                wire.create_job(server.stub, content)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert wire.reason(caught.value) == "DISK_FULL"
        assert wire.states(list(wire.watch(server.stub, job.name)))[-1] == "SUCCEEDED"


def test_a_full_disk_refuses_new_work_and_loses_nothing(tmp_path: Path, photo_png: bytes) -> None:
    with small_disk(tmp_path / "disk", megabytes=40) as disk, ServerProcess(disk, "--checkpoint-s", "0.2") as server:
        content = wire.upload(server.stub, photo_png)
        job = wire.create_job(server.stub, content, **{**JOB, "steps": 200})  # for longer than the disk is full
        wait_for_step(server, job.name, 2)
        fill(disk / "ballast")
        with pytest.raises(grpc.RpcError) as caught:
            wire.create_job(server.stub, wire.upload(server.stub, photo_png + bytes(100_000)))
        assert wire.reason(caught.value) == "DISK_FULL"
        time.sleep(2)
        (disk / "ballast").unlink()
        assert wire.states(list(wire.watch(server.stub, job.name)))[-1] == "SUCCEEDED"


def test_a_stalled_reader_keeps_nobody_waiting(server: ServerProcess, photo_png: bytes) -> None:
    job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), size_px=160, steps=60)
    # Large lossless previews fill the stalled reader's flow-control window long before the job ends.
    wish = image_pb2.PreviewOptions(max_size_px=160, format=image_pb2.IMAGE_FORMAT_PNG, max_per_second=60)
    stalled = server.stub.WatchJob(stylizer_pb2.WatchJobRequest(name=job.name, previews=wish))
    first = next(stalled).event
    assert wire.states(list(wire.watch(server.stub, job.name)))[-1] == "SUCCEEDED"
    late = [first, *(response.event for response in stalled)]
    sequences = [event.sequence for event in late if event.sequence]
    assert sequences == list(range(1, len(sequences) + 1))
    assert wire.states(late)[-1] == "SUCCEEDED"


def test_a_half_open_connection_is_noticed_at_both_ends(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path, "--keepalive-s", "1") as server, Proxy(server.address) as proxy:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), size_px=128, steps=2000)
        options = [
            ("grpc.keepalive_time_ms", 1000),
            ("grpc.keepalive_timeout_ms", 1000),
            ("grpc.http2.ping_timeout_ms", 1000),
            ("grpc.http2.max_pings_without_data", 0),
        ]
        request = stylizer_pb2.WatchJobRequest(name=job.name)
        with (
            grpc.insecure_channel(proxy.address, options=options) as asking,
            grpc.insecure_channel(proxy.address, options=[("grpc.use_local_subchannel_pool", 1)]) as silent,
        ):
            call = stylizer_pb2_grpc.StylizerStub(asking).WatchJob(request)
            silent_call = stylizer_pb2_grpc.StylizerStub(silent).WatchJob(request)
            next(call)
            next(silent_call)
            before = sockets(server)
            proxy.freeze()
            with pytest.raises(grpc.RpcError) as caught:
                list(call)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            deadline = time.monotonic() + 10
            while sockets(server) > before - 2:
                assert time.monotonic() < deadline, "the server still holds the dead connection"
                time.sleep(0.1)
        wire.cancel(server.stub, job.name)


def sockets(server: ServerProcess) -> int:
    """How many sockets the front door holds."""
    found = 0
    for entry in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(entry).startswith("socket:")
    return found
