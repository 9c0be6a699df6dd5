"""Deleted jobs: what others need of them stays, and whoever reads about them or behind them is told."""

from __future__ import annotations

import contextlib
import random
import time

import grpc
import pytest

from impasto.v1 import image_pb2, job_pb2, stylizer_pb2, stylizer_pb2_grpc
from tests import wire
from tests.server_process import ServerProcess


@pytest.fixture(scope="module")
def content(server: ServerProcess, photo_png: bytes) -> str:
    return wire.upload(server.stub, photo_png)


def test_what_two_jobs_paint_stays_for_the_second_when_the_first_is_deleted(
    server: ServerProcess, photo_png: bytes
) -> None:
    content = wire.upload(server.stub, photo_png + b"content of two")
    style = wire.upload(server.stub, photo_png + b"style of two")

    def ask(seed: int, steps: int) -> job_pb2.Job:
        spec = job_pb2.JobSpec(content=content, styles=[job_pb2.Style(image=style)], recipe="draft")
        spec.parameters.size_px, spec.parameters.steps, spec.parameters.seed = 64, steps, seed
        return server.stub.CreateJob(stylizer_pb2.CreateJobRequest(spec=spec)).job

    first, second = ask(1, 2), ask(2, 4)
    assert wire.ending(server.stub, first.name) == "SUCCEEDED"
    wire.delete(server.stub, first.name)
    assert wire.ending(server.stub, second.name) == "SUCCEEDED"
    for name in (content, style, wire.get_job(server.stub, second.name).result.image.name):
        assert wire.download(server.stub, name)
    assert wire.ending(server.stub, ask(3, 1).name) == "SUCCEEDED"


def test_a_picture_promised_to_an_upload_outlives_the_job_that_made_it(server: ServerProcess, content: str) -> None:
    first = wire.create_job(server.stub, content, initial_image="INITIAL_IMAGE_NOISE", seed=77)
    assert wire.ending(server.stub, first.name) == "SUCCEEDED"
    picture = wire.get_job(server.stub, first.name).result.image.name
    answer = server.stub.UploadImage(wire.upload_messages(wire.download(server.stub, picture)))
    assert answer.already_known
    wire.delete(server.stub, first.name)
    assert wire.ending(server.stub, wire.create_job(server.stub, picture).name) == "SUCCEEDED"


def test_a_job_deleted_while_its_twin_ends_leaves_the_twin_its_picture(server: ServerProcess, content: str) -> None:
    def ask() -> str:
        return wire.create_job(server.stub, content, size_px=48, steps=2, seed=99).name

    first = ask()
    assert wire.ending(server.stub, first) == "SUCCEEDED"
    chance = random.Random(3)
    longest_s = 0.03
    for _ in range(30):
        second = ask()
        events = wire.watch(server.stub, second)
        next(event for event in events if event.progress.step == 2)
        last_step = time.monotonic()
        time.sleep(chance.uniform(0, longest_s))
        wire.delete(server.stub, first)
        assert wire.states(list(events))[-1] == "SUCCEEDED"
        longest_s = time.monotonic() - last_step  # from the last step to the end
        assert wire.download(server.stub, wire.get_job(server.stub, second).result.image.name)
        first = second


def test_a_slow_watcher_of_a_job_that_is_deleted_is_not_left_waiting(server: ServerProcess, content: str) -> None:
    # One shallow layer only, so that there are many steps a second.
    shallow = {"style_layers": ["relu1_1"], "content_layers": ["relu1_1"]}
    job = wire.create_job(server.stub, content, size_px=48, steps=10_000, **shallow)
    # Lossless previews fill the stalled reader's flow-control window long before the job ends.
    wish = image_pb2.PreviewOptions(max_size_px=48, format=image_pb2.IMAGE_FORMAT_PNG, max_per_second=60)
    small_window = [("grpc.http2.lookahead_bytes", 1024), ("grpc.http2.bdp_probe", 0)]
    with grpc.insecure_channel(server.address, options=[*small_window, ("grpc.use_local_subchannel_pool", 1)]) as slow:
        request = stylizer_pb2.WatchJobRequest(name=job.name, previews=wish)
        stalled = stylizer_pb2_grpc.StylizerStub(slow).WatchJob(request, timeout=60)
        next(stalled)
        wire.wait_for_step(server.stub, job.name, 1)
        # More events than a server would keep in memory, or as many as it makes in this time.
        enough = time.monotonic() + 18
        next(event for event in wire.watch(server.stub, job.name) if event.sequence > 300 or time.monotonic() > enough)
        wire.cancel(server.stub, job.name)
        assert wire.ending(server.stub, job.name) == "CANCELLED"
        wire.delete(server.stub, job.name)
        with contextlib.suppress(grpc.RpcError):
            list(stalled)
        assert stalled.code() in (grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND), "it waited for ever"


def test_a_watcher_cannot_start_behind_the_last_event(server: ServerProcess, content: str) -> None:
    ended = wire.create_job(server.stub, content).name
    assert wire.ending(server.stub, ended) == "SUCCEEDED"
    live = wire.create_job(server.stub, content, size_px=128, steps=2000).name
    wire.wait_for_step(server.stub, live, 1)
    try:
        for name in (ended, live):
            with pytest.raises(grpc.RpcError) as caught:
                list(wire.watch(server.stub, name, after_sequence=1_000_000, timeout_s=5))
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert wire.fields(caught.value) == ["after_sequence"]
    finally:
        wire.cancel(server.stub, live)
    last = wire.get_job(server.stub, ended).last_sequence
    assert list(wire.watch(server.stub, ended, after_sequence=last, timeout_s=5)) == []


def test_a_page_token_outlives_the_job_that_it_points_at(server: ServerProcess, content: str) -> None:
    made = [wire.create_job(server.stub, content, steps=1).name for _ in range(7)]
    for name in made:
        assert wire.ending(server.stub, name) == "SUCCEEDED"

    def page(token: str) -> tuple[list[str], str]:
        answer = server.stub.ListJobs(stylizer_pb2.ListJobsRequest(page_size=2, page_token=token))
        return [job.name for job in answer.jobs], answer.next_page_token

    found, token = page("")
    wire.delete(server.stub, made[-2])  # the last of the first page
    wire.delete(server.stub, made[-4])  # one of the next page
    while made[0] not in found:
        names, token = page(token)
        found += names
    assert found[: found.index(made[0]) + 1] == [made[index] for index in (-1, -2, -3, -5, -6, -7)]
