"""Promises where they meet: a cancel and a restart, a silent worker and a job, a stop and an upload."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from PIL import Image

from impasto.v1 import job_pb2, stylizer_pb2
from tests import wire
from tests.second_device import environment_with_a_second_device
from tests.server_process import ServerProcess
from tests.waiting import wait_until

LONG = {"size_px": 128, "steps": 2000}


@pytest.fixture(scope="module")
def content(server: ServerProcess, photo_png: bytes) -> str:
    return wire.upload(server.stub, photo_png)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that gives a silent worker two seconds."""
    with ServerProcess(tmp_path_factory.mktemp("impatient"), "--silence-s", "2", "--checkpoint-s", "0.2") as server:
        yield server


def stop_workers(server: ServerProcess) -> list[int]:
    """Holds them, so that nothing can be carried out any more. Returns their process ids."""
    workers = server.worker_process_ids()
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    return workers


def kill(server: ServerProcess, workers: list[int]) -> None:
    """As when the machine goes: the server and its workers at once."""
    server.process.kill()
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    server.wait()


def test_two_cancels_that_the_server_took_to_its_grave_leave_a_server_that_starts(
    tmp_path: Path, photo_png: bytes
) -> None:
    two = ("--device", "cpu", "--device", "cpu")
    with ServerProcess(tmp_path, "--checkpoint-s", "0", *two) as server:
        content = wire.upload(server.stub, photo_png)
        jobs = [wire.create_job(server.stub, content, **LONG).name for _ in range(2)]
        for name in jobs:
            wire.wait_for_step(server.stub, name, 2)
        workers = stop_workers(server)
        assert len(workers) == 2
        for name in jobs:
            wire.cancel(server.stub, name)
        kill(server, workers)
    with ServerProcess(tmp_path) as server:  # one worker now: the second of the two has to wait for it
        new = wire.create_job(server.stub, content)
        assert [wire.ending(server.stub, name) for name in (*jobs, new.name)] == ["CANCELLED", "CANCELLED", "SUCCEEDED"]
        assert all(wire.get_job(server.stub, name).result.partial for name in jobs)
        server.process.kill()
        server.wait()
    with ServerProcess(tmp_path) as server:
        assert [wire.get_job(server.stub, name).state for name in (*jobs, new.name)] == [
            job_pb2.Job.STATE_CANCELLED,
            job_pb2.Job.STATE_CANCELLED,
            job_pb2.Job.STATE_SUCCEEDED,
        ]


def test_a_cancelled_job_whose_device_is_gone_ends_and_can_be_deleted(tmp_path: Path, photo_png: bytes) -> None:
    both = environment_with_a_second_device(tmp_path / "site")
    state = tmp_path / "state"
    with ServerProcess(state, "--checkpoint-s", "0", "--device", "cpu:0", **both) as server:
        bound = wire.create_job(server.stub, wire.upload(server.stub, photo_png), device="cpu:0", **LONG)
        wire.wait_for_step(server.stub, bound.name, 2)
        workers = stop_workers(server)
        wire.cancel(server.stub, bound.name)
        kill(server, workers)
    with ServerProcess(state, "--device", "cpu") as server:
        new = wire.create_job(server.stub, bound.spec.content)
        assert wire.ending(server.stub, new.name) == "SUCCEEDED"
        assert wire.ending(server.stub, bound.name) == "CANCELLED"
        assert wire.get_job(server.stub, bound.name).result.partial
        wire.delete(server.stub, bound.name)
        with pytest.raises(grpc.RpcError, match="no job"):
            wire.get_job(server.stub, bound.name)


def test_a_worker_that_falls_silent_costs_an_attempt_and_not_the_job(
    impatient: ServerProcess, photo_png: bytes
) -> None:
    job = wire.create_job(impatient.stub, wire.upload(impatient.stub, photo_png), size_px=128, steps=40)
    wire.wait_for_step(impatient.stub, job.name, 3)
    (worker,) = stop_workers(impatient)
    assert wire.ending(impatient.stub, job.name) == "SUCCEEDED"
    assert wire.get_job(impatient.stub, job.name).attempt == 2
    assert worker not in impatient.worker_process_ids()


def test_a_job_cancelled_while_its_worker_is_silent_keeps_the_picture_of_its_checkpoint(
    impatient: ServerProcess, photo_png: bytes
) -> None:
    job = wire.create_job(impatient.stub, wire.upload(impatient.stub, photo_png), **LONG)
    wire.wait_for_step(impatient.stub, job.name, 10)
    stop_workers(impatient)
    wire.cancel(impatient.stub, job.name)
    assert wire.ending(impatient.stub, job.name) == "CANCELLED"
    ended = wire.get_job(impatient.stub, job.name)
    assert ended.result.partial
    assert ended.result.step >= 1
    assert wire.download(impatient.stub, ended.result.image.name).startswith(b"\x89PNG")


def test_a_cancelled_job_whose_step_takes_long_is_waited_for(server: ServerProcess, content: str) -> None:
    job = wire.create_job(server.stub, content, size_px=192, steps=2000)
    wire.wait_for_step(server.stub, job.name, 2)
    (worker,) = server.worker_process_ids()
    wire.cancel(server.stub, job.name)
    slow_down(worker, seconds=8)
    assert wire.ending(server.stub, job.name) == "CANCELLED"
    ended = wire.get_job(server.stub, job.name)
    assert ended.result.partial
    assert ended.attempt == 1
    assert server.worker_process_ids() == [worker]


def slow_down(process: int, *, seconds: float) -> None:
    """A machine with hardly any time for a process, which still gives signs of life."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGSTOP)
            time.sleep(0.25)
            os.kill(process, signal.SIGCONT)
            time.sleep(0.001)


def test_a_worker_that_died_is_started_again_once(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path) as server, ThreadPoolExecutor(16) as pool:
        content = wire.upload(server.stub, photo_png)
        assert wire.ending(server.stub, wire.create_job(server.stub, content).name) == "SUCCEEDED"
        (worker,) = server.worker_process_ids()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: worker not in server.worker_process_ids())
        time.sleep(0.2)  # the server has noticed
        os.kill(server.process.pid, signal.SIGSTOP)  # so that it finds them all at once
        asked = [pool.submit(wire.create_job, server.stub, content, device="cpu") for _ in range(8)]
        time.sleep(0.5)
        os.kill(server.process.pid, signal.SIGCONT)
        started: set[int] = set()
        ends = [pool.submit(lambda job: wire.ending(server.stub, job.result().name), job) for job in asked]
        while not all(end.done() for end in ends):
            started.update(server.worker_process_ids())
            time.sleep(0.02)
        assert [end.result() for end in ends] == ["SUCCEEDED"] * 8
        assert len(started) == 1


def test_a_device_that_is_not_there_does_not_keep_the_others_from_painting(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path, "--device", "cpu", "--device", "cuda:7") as server:

        def usable() -> list[str]:
            info = server.stub.GetServerInfo(stylizer_pb2.GetServerInfoRequest()).server
            return [device.name for device in info.devices if not device.starting]

        wait_until(lambda: usable() == ["cpu"], timeout_s=60)
        content = wire.upload(server.stub, photo_png)
        for _ in range(5):
            assert wire.ending(server.stub, wire.create_job(server.stub, content).name) == "SUCCEEDED"
        assert usable() == ["cpu"]
        assert server.process.poll() is None


def test_a_stalled_upload_does_not_hold_a_server_that_stops(tmp_path: Path, photo_png: bytes) -> None:
    def half() -> Iterator[stylizer_pb2.UploadImageRequest]:
        yield from list(wire.upload_messages(photo_png, chunk_bytes=1000))[:3]
        time.sleep(30)

    with ServerProcess(tmp_path, "--drain-s", "1") as server:
        call = server.stub.UploadImage.future(half())
        time.sleep(1)
        assert not call.done()
        server.terminate()
        assert server.wait(10) == 0
        call.cancel()


def picture_that_takes_long_to_look_at() -> bytes:
    """A progressive JPEG of 16 megapixels that repeats its last scan: a decoder takes some twenty seconds."""
    buffer = io.BytesIO()
    Image.new("L", (4096, 4096), 100).save(buffer, "JPEG", progressive=True)
    simple = buffer.getvalue()
    scan = simple[simple.rindex(b"\xff\xda") : -2]
    return simple[:-2] + 2400 * scan + simple[-2:]


def test_a_picture_being_looked_at_does_not_hold_a_server_that_stops(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--drain-s", "1") as server:
        call = server.stub.UploadImage.future(wire.upload_messages(picture_that_takes_long_to_look_at()))
        time.sleep(2)
        assert not call.done()
        server.terminate()
        assert server.wait(10) == 0
        call.cancel()


def test_a_steer_acknowledged_between_two_attempts_takes_effect(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path, "--checkpoint-s", "1000") as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), size_px=128, steps=60)
        wire.wait_for_step(server.stub, job.name, 5)
        os.kill(server.worker_process_ids()[0], signal.SIGKILL)
        wire.steer(server.stub, job.name, tv_weight=0.0)
        next(event for event in wire.watch(server.stub, job.name) if event.attempt == 2)
        wire.steer(server.stub, job.name, content_weight=0.0)
        events = list(wire.watch(server.stub, job.name))
        assert wire.states(events)[-1] == "SUCCEEDED"
        last = [event.progress for event in events if event.HasField("progress")][-1]
        assert last.step == 60
        assert (last.losses.tv, last.losses.content) == (0, 0)


def test_a_job_that_ran_goes_first_after_a_restart_whoever_waits(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path) as server:
        content = wire.upload(server.stub, photo_png)
        before = wire.create_job(server.stub, content, owner="bob", **LONG)
        # Bob's is the older of these two, and after his first it is Ann's turn.
        waits = wire.create_job(server.stub, content, owner="bob", steps=2)
        runs = wire.create_job(server.stub, content, owner="ann", **LONG)
        wire.wait_for_step(server.stub, before.name, 1)
        wire.cancel(server.stub, before.name)
        wire.wait_for_step(server.stub, runs.name, 2)
        assert wire.get_job(server.stub, waits.name).state == job_pb2.Job.STATE_QUEUED
        server.process.kill()
        server.wait()
    with ServerProcess(tmp_path) as server:
        again = next(event for event in wire.watch(server.stub, runs.name) if event.attempt == 2)
        wire.cancel(server.stub, runs.name)
        assert wire.ending(server.stub, waits.name) == "SUCCEEDED"
        assert again.time.ToNanoseconds() < wire.get_job(server.stub, waits.name).start_time.ToNanoseconds()


def test_no_moment_that_a_server_is_killed_at_gives_a_job_two_results(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path / "life") as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), steps=40)
        wire.wait_for_step(server.stub, job.name, 25)
        images = crash_images(server, job.name, tmp_path)
    unfinished = 0
    for image in images[-4:]:
        with ServerProcess(image) as server:
            has_ended = bool(wire.get_job(server.stub, job.name).end_time.seconds)
            unfinished += not has_ended
            events = list(wire.watch(server.stub, job.name))
            assert [event.WhichOneof("kind") for event in events].count("result") == 1
            assert wire.states(events)[-1] == "SUCCEEDED"
    assert unfinished, "the job had ended before anybody looked"


def crash_images(server: ServerProcess, name: str, folder: Path) -> list[Path]:
    """The state folder as a kill would leave it, after each of the server's writes from now to the job's end."""
    images: list[Path] = []
    seen: set[bytes] = set()
    (worker,) = server.worker_process_ids()
    with ThreadPoolExecutor(1) as reader:
        ended = reader.submit(lambda: list(wire.watch(server.stub, name)))
        while not ended.done():
            hold(server.process.pid)
            # What SQLite shares between processes isn't on the disk: it changes without a write.
            written = [path for path in sorted(server.state_dir.glob("journal*")) if not path.name.endswith("-shm")]
            journal = b"".join(path.read_bytes() for path in written)
            if journal not in seen:
                seen.add(journal)
                hold(worker)  # so that no file goes while it is copied
                images.append(folder / f"image {len(images)}")
                shutil.copytree(server.state_dir, images[-1])
                os.kill(worker, signal.SIGCONT)
            os.kill(server.process.pid, signal.SIGCONT)
            time.sleep(0.00002)  # less than a write takes
    return images


def hold(process: int) -> None:
    """Returns when it stands still."""
    os.kill(process, signal.SIGSTOP)
    while Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.00002)


def test_a_server_with_thousands_of_jobs_to_forget_serves_meanwhile(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path) as server, ThreadPoolExecutor(16) as pool:
        content = wire.upload(server.stub, photo_png)
        blocker = wire.create_job(server.stub, content, **LONG)

        def create_and_cancel(_: int) -> None:
            wire.cancel(server.stub, wire.create_job(server.stub, content, request_id=str(uuid.uuid4())).name)

        list(pool.map(create_and_cancel, range(3000)))
        wire.cancel(server.stub, blocker.name)
        assert wire.ending(server.stub, blocker.name) == "CANCELLED"
        server.process.kill()
        server.wait()
    time.sleep(1)  # the last of them is old too now
    began = time.monotonic()
    with ServerProcess(tmp_path, "--keep-days", "0.00001") as server:
        server.stub.GetServerInfo(stylizer_pb2.GetServerInfoRequest(), timeout=10)
        assert time.monotonic() - began < 10
        wait_until(lambda: not server.stub.ListJobs(stylizer_pb2.ListJobsRequest(), timeout=10).jobs, timeout_s=60)


def test_small_uploads_only_is_no_bound_for_the_gallery(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--max-image-megapixels", "0.001") as server:
        info = server.stub.GetServerInfo(stylizer_pb2.GetServerInfoRequest()).server
        assert info.gallery[0].image.width_px * info.gallery[0].image.height_px > 1000
