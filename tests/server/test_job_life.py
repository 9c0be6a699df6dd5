"""Jobs from outside: cancelled in every state, listed, deleted, asked for twice, refused when too many."""

from __future__ import annotations

import uuid
from pathlib import Path

import grpc
import pytest

from impasto.v1 import job_pb2, stylizer_pb2
from tests import wire
from tests.server_process import ServerProcess
from tests.waiting import wait_until

LONG = {"size_px": 128, "steps": 2000}


@pytest.fixture(scope="module")
def content(server: ServerProcess, photo_png: bytes) -> str:
    return wire.upload(server.stub, photo_png)


def wait_for_a_step(server: ServerProcess, name: str) -> None:
    next(event for event in wire.watch(server.stub, name) if event.HasField("progress"))


def test_cancelling_a_running_job_keeps_its_latest_picture(server: ServerProcess, content: str) -> None:
    job = wire.create_job(server.stub, content, **LONG)
    wait_for_a_step(server, job.name)
    wire.cancel(server.stub, job.name)
    events = list(wire.watch(server.stub, job.name))
    ended = wire.get_job(server.stub, job.name)
    assert wire.states(events) == ["QUEUED", "RUNNING", "CANCELLING", "CANCELLED"]
    assert ended.result.partial
    assert 0 < ended.result.step < 2000
    assert wire.download(server.stub, ended.result.image.name).startswith(b"\x89PNG")


def test_a_cancel_takes_effect_within_a_step(server: ServerProcess, content: str) -> None:
    job = wire.create_job(server.stub, content, **LONG)
    wait_for_a_step(server, job.name)
    wire.cancel(server.stub, job.name)
    events = list(wire.watch(server.stub, job.name))
    kinds = [event.WhichOneof("kind") for event in events]
    told = next(index for index, event in enumerate(events) if wire.states([event]) == ["CANCELLING"])
    # The step that was being made when the cancel came may still be reported, and one whose report was on its way.
    assert kinds[told + 1 :].count("progress") <= 2


def test_cancelling_a_queued_job_ends_it_without_a_picture(server: ServerProcess, content: str) -> None:
    first = wire.create_job(server.stub, content, **LONG)
    second = wire.create_job(server.stub, content, **LONG)
    wire.cancel(server.stub, second.name)
    assert wire.states(list(wire.watch(server.stub, second.name))) == ["QUEUED", "CANCELLED"]
    assert not wire.get_job(server.stub, second.name).HasField("result")
    wire.cancel(server.stub, first.name)
    list(wire.watch(server.stub, first.name))


def test_cancelling_twice_or_after_the_end_changes_nothing(server: ServerProcess, content: str) -> None:
    job = wire.create_job(server.stub, content)
    list(wire.watch(server.stub, job.name))
    before = list(wire.watch(server.stub, job.name))
    assert wire.cancel(server.stub, job.name) == wire.cancel(server.stub, job.name)
    assert list(wire.watch(server.stub, job.name)) == before


def test_a_job_goes_on_when_its_watcher_leaves(server: ServerProcess, content: str) -> None:
    job = wire.create_job(server.stub, content, steps=30)
    call = server.stub.WatchJob(stylizer_pb2.WatchJobRequest(name=job.name))
    next(call)
    call.cancel()
    assert wire.states(list(wire.watch(server.stub, job.name)))[-1] == "SUCCEEDED"


def test_the_same_request_id_makes_one_job(server: ServerProcess, content: str) -> None:
    request_id = str(uuid.uuid4())
    jobs = {wire.create_job(server.stub, content, request_id=request_id).name for _ in range(3)}
    assert len(jobs) == 1


def test_the_same_request_id_with_another_body_is_refused(server: ServerProcess, content: str) -> None:
    request_id = str(uuid.uuid4())
    wire.create_job(server.stub, content, request_id=request_id)
    with pytest.raises(grpc.RpcError) as caught:
        wire.create_job(server.stub, content, request_id=request_id, steps=7)
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert wire.reason(caught.value) == "REQUEST_ID_REUSED"


def test_jobs_are_listed_newest_first_and_page_by_page(server: ServerProcess, content: str) -> None:
    made = [wire.create_job(server.stub, content, steps=1).name for _ in range(5)]
    found: list[str] = []
    token = ""
    while len(found) < 5:
        page = server.stub.ListJobs(stylizer_pb2.ListJobsRequest(page_size=2, page_token=token))
        assert len(page.jobs) == 2
        found += [job.name for job in page.jobs]
        token = page.next_page_token
    assert found[:5] == made[::-1]


def test_jobs_are_listed_by_state_over_all_pages(server: ServerProcess, content: str) -> None:
    running = wire.create_job(server.stub, content, **LONG)
    waiting = [wire.create_job(server.stub, content, **LONG).name for _ in range(3)]
    next(event for event in wire.watch(server.stub, running.name) if event.HasField("progress"))
    wanted = [job_pb2.Job.STATE_QUEUED, job_pb2.Job.STATE_CANCELLING]
    pages, token = [], ""
    while token or not pages:
        request = stylizer_pb2.ListJobsRequest(page_size=2, page_token=token, states=wanted)
        page = server.stub.ListJobs(request)
        pages.append([job.name for job in page.jobs])
        token = page.next_page_token
    assert pages == [waiting[:0:-1], waiting[:1]]
    for name in (*waiting, running.name):
        wire.cancel(server.stub, name)
    list(wire.watch(server.stub, running.name))


def test_a_state_that_is_none_is_refused(server: ServerProcess) -> None:
    for number in (0, 99):
        with pytest.raises(grpc.RpcError) as caught:
            server.stub.ListJobs(stylizer_pb2.ListJobsRequest(states=[job_pb2.Job.STATE_QUEUED, number]))
        assert wire.fields(caught.value) == ["states[1]"]
        assert "expected one of: STATE_QUEUED, STATE_RUNNING" in caught.value.details()


def test_a_deleted_job_is_forgotten_with_its_picture(server: ServerProcess, content: str) -> None:
    job = wire.create_job(server.stub, content, initial_image="INITIAL_IMAGE_NOISE", seed=1234)
    list(wire.watch(server.stub, job.name))
    picture = wire.get_job(server.stub, job.name).result.image.name
    server.stub.DeleteJob(stylizer_pb2.DeleteJobRequest(name=job.name))
    with pytest.raises(grpc.RpcError) as caught:
        wire.get_job(server.stub, job.name)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND

    def is_gone() -> bool:
        try:
            wire.download(server.stub, picture)
        except grpc.RpcError as error:
            return "no image" in (error.details() or "")
        return False

    # The sweep comes after the answer.
    wait_until(is_gone)


def test_a_running_job_is_not_deleted(server: ServerProcess, content: str) -> None:
    job = wire.create_job(server.stub, content, **LONG)
    with pytest.raises(grpc.RpcError) as caught:
        server.stub.DeleteJob(stylizer_pb2.DeleteJobRequest(name=job.name))
    assert wire.reason(caught.value) == "JOB_NOT_ENDED"
    assert "cancel it first" in caught.value.details()
    wire.cancel(server.stub, job.name)
    list(wire.watch(server.stub, job.name))


def test_a_full_queue_says_when_to_come_back(tmp_path: Path, photo_png: bytes) -> None:
    with ServerProcess(tmp_path, "--max-queued", "2") as server:
        content = wire.upload(server.stub, photo_png)
        running = wire.create_job(server.stub, content, **LONG)
        next(event for event in wire.watch(server.stub, running.name) if wire.states([event]) == ["RUNNING"])
        waiting = [wire.create_job(server.stub, content, **LONG) for _ in range(2)]
        with pytest.raises(grpc.RpcError) as caught:
            wire.create_job(server.stub, content)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert wire.reason(caught.value) == "QUEUE_FULL"
        assert wire.retry_delay_s(caught.value) >= 1
        wire.cancel(server.stub, waiting[0].name)
        wire.create_job(server.stub, content)


def test_those_who_wait_are_told_when_they_move_up(server: ServerProcess, content: str) -> None:
    first, second, third = (wire.create_job(server.stub, content, **LONG) for _ in range(3))
    events = wire.watch(server.stub, third.name)
    positions = [next(events).state.queue_position]
    wire.cancel(server.stub, second.name)
    for event in events:
        if wire.states([event]) == ["QUEUED"]:
            positions.append(event.state.queue_position)
        if positions[-1] == 1:
            wire.cancel(server.stub, first.name)
        if wire.states([event]) == ["RUNNING"]:
            wire.cancel(server.stub, third.name)
    assert positions == sorted(set(positions), reverse=True)
    assert positions[-1] == 1
