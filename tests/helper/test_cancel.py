"""A cancel is answered at once whatever is under way, and the server hears of it in the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from impasto import Client
from impasto._helper._pixels import Raw
from impasto.v1 import image_pb2, job_pb2, server_info_pb2, stylizer_pb2
from tests.client.conftest import JOB, Scripted, running, state_event
from tests.helper.host import Host
from tests.proxy import Proxy
from tests.server_process import ServerProcess
from tests.waiting import wait_until

AT_ONCE_S = 5.0
"""Far less than any wait for a server, and far more than a busy machine needs."""
LONG: dict[str, Any] = {"style": {"gallery": "night-swirl"}, "recipe": "draft", "size_px": 64, "steps": 2000}
PIXELS = bytes(range(256)) * (96 * 64 * 3 // 256)
PAINTED = f"images/{'0' * 64}"
PHOTO = Raw(96, 64, 3, PIXELS).png(96)


def ask_for_a_painting(host: Host, address: str, **fields: Any) -> None:
    content = {"width": 96, "height": 64, "channels": 3}
    fields = {"style": {"gallery": "mist"}} | fields
    host.ask(7, "paint", {"content": PIXELS}, server=address, content=content, **fields)


def cancelled_at_once(host: Host) -> None:
    """Cancels, and sees the answer, and that the helper lives."""
    started = time.monotonic()
    host.ask(8, "cancel", painting=7)
    host.ask(9, "hello")
    head, _ = host.end("cancelled", "failed", "done")
    assert (head["event"], head["id"]) == ("cancelled", 7)
    head, _ = host.read()
    assert (head["event"], head["id"]) == ("hello", 9)
    assert time.monotonic() - started < AT_ONCE_S


class Slow(Scripted):
    """Takes its time where a test wants it to. `released` lets it go on."""

    def __init__(self, slow: str, losing: int = 0) -> None:
        super().__init__(lambda request, context: iter(()))
        self.slow = slow
        self.losing = losing
        self.released = threading.Event()
        self.reached = threading.Event()
        self.let_go = threading.Event()
        self.cancelled: list[str] = []

    def GetServerInfo(self, request: Any, context: Any) -> Any:  # noqa: N802 (the contract's name)
        defaults = {"steps": "3", "size_px": "64", "style_weight": "1", "tv_weight": "1"}
        info = server_info_pb2.ServerInfo(version="0.1.0")
        info.recipes.add(name="draft", defaults=defaults)
        info.limits.max_size_px = 4096
        return stylizer_pb2.GetServerInfoResponse(server=info)

    def UploadImage(self, messages: Iterator[Any], context: Any) -> Any:  # noqa: N802 (the contract's name)
        first = next(messages)
        if self.slow == "UploadImage":
            context.add_callback(self.let_go.set)
            self.reached.set()
            self.released.wait(60)
        return stylizer_pb2.UploadImageResponse(image=image_pb2.Image(name=f"images/{first.announcement.sha256}"))

    def CreateJob(self, request: Any, context: Any) -> Any:  # noqa: N802 (the contract's name)
        self.created.append(request)
        if self.slow == "CreateJob":
            self.reached.set()
            self.released.wait(60)
        if len(self.created) <= self.losing:
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "too late")
        return stylizer_pb2.CreateJobResponse(job=job_pb2.Job(name=JOB, state=job_pb2.Job.STATE_QUEUED))

    def CancelJob(self, request: Any, context: Any) -> Any:  # noqa: N802 (the contract's name)
        self.cancelled.append(request.name)
        return stylizer_pb2.CancelJobResponse(job=job_pb2.Job(name=request.name, state=job_pb2.Job.STATE_CANCELLED))

    def GetJob(self, request: Any, context: Any) -> Any:  # noqa: N802 (the contract's name)
        job = job_pb2.Job(name=JOB, state=job_pb2.Job.STATE_SUCCEEDED)
        job.result.image.name = PAINTED
        return stylizer_pb2.GetJobResponse(job=job)

    def DownloadImage(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802 (the contract's name)
        context.add_callback(self.let_go.set)
        self.reached.set()
        yield stylizer_pb2.DownloadImageResponse(image=image_pb2.Image(name=request.name, size_bytes=1 << 20))
        self.released.wait(60)


def test_while_a_frozen_server_is_asked_what_it_is(server: ServerProcess) -> None:
    with Proxy(server.address) as proxy, Host() as host:
        proxy.freeze()
        ask_for_a_painting(host, proxy.address)
        head, _ = host.end("stage")
        assert head["stage"] == "connecting"
        cancelled_at_once(host)


def test_an_upload_that_is_under_way_is_let_go_of() -> None:
    slow = Slow("UploadImage")
    with running(slow) as script, Host() as host:
        ask_for_a_painting(host, script.address)
        assert slow.reached.wait(30)
        cancelled_at_once(host)
        assert slow.let_go.wait(AT_ONCE_S), "the call has ended"
        slow.released.set()
        host.stdin.close()
        assert host.process.wait(AT_ONCE_S) == 0
    assert slow.created == []


@pytest.mark.parametrize("question", ["paint", "watch", "fetch"])
def test_a_download_that_is_under_way_is_let_go_of(question: str) -> None:
    def ended(request: Any, context: Any) -> Iterator[Any]:
        yield state_event(1, job_pb2.Job.STATE_SUCCEEDED)

    slow = Slow("DownloadImage")
    slow.scenes = [ended]
    with running(slow) as script, Host() as host:
        if question == "paint":
            ask_for_a_painting(host, script.address)
        else:
            host.ask(7, question, server=script.address, job=JOB)
        assert slow.reached.wait(30)
        cancelled_at_once(host)
        assert slow.let_go.wait(AT_ONCE_S), "the call has ended"
        slow.released.set()
        host.stdin.close()
        assert host.process.wait(AT_ONCE_S) == 0
    # A picture that is only fetched is there to be fetched again.
    assert slow.cancelled == ([] if question == "fetch" else [JOB])


@pytest.mark.parametrize("losing", [0, 1], ids=["late", "lost"])
def test_a_job_that_is_made_after_the_cancel_is_cancelled(losing: int) -> None:
    """Whether the answer comes late or not at all: the same request finds the same job."""
    slow = Slow("CreateJob", losing)
    with running(slow) as script, Host() as host:
        ask_for_a_painting(host, script.address)
        assert slow.reached.wait(30)
        cancelled_at_once(host)
        slow.released.set()
        wait_until(lambda: slow.cancelled == [JOB], 30)
    assert len({request.request_id for request in slow.created}) == 1


def test_a_helper_whose_host_has_cancelled_and_gone_stays_until_the_server_knows() -> None:
    slow = Slow("CreateJob")
    with running(slow) as script, Host() as host:
        ask_for_a_painting(host, script.address)
        assert slow.reached.wait(30)
        cancelled_at_once(host)
        host.stdin.close()
        slow.released.set()
        assert host.process.wait(30) == 0
        assert slow.cancelled == [JOB]


def test_while_a_server_is_frozen_that_paints(server: ServerProcess) -> None:
    with Proxy(server.address) as proxy, Host() as host:
        ask_for_a_painting(host, proxy.address, **LONG)
        job, _ = host.end("job")
        host.end("progress")
        proxy.freeze()
        cancelled_at_once(host)
        proxy.thaw()
        uuid = job["name"].removeprefix("jobs/")
        wait_until(lambda: state_of(server, uuid) == job_pb2.Job.STATE_CANCELLED, 60)


def test_a_watched_job_is_cancelled_though_its_server_was_frozen_before_it_was_found(server: ServerProcess) -> None:
    with Client(server.address) as client, Proxy(server.address) as proxy, Host() as host:
        job = client.submit(PHOTO, "night-swirl", recipe="draft", size_px=64, steps=2000)
        proxy.freeze()
        host.ask(7, "watch", server=proxy.address, job=job.name)
        cancelled_at_once(host)
        proxy.thaw()
        wait_until(lambda: state_of(server, job.id) == job_pb2.Job.STATE_CANCELLED, 60)


def test_nothing_is_told_of_a_painting_after_its_last_word(server: ServerProcess) -> None:
    with Host() as host:
        ask_for_a_painting(host, server.address, preview_px=48, **LONG)
        host.end("progress")
        host.ask(8, "cancel", painting=7)
        host.end("cancelled")
        time.sleep(0.3)  # previews would come now
        host.ask(9, "hello")
        head, _ = host.read()
        assert head["event"] == "hello"
        host.stdin.close()  # not killed: the tests after this one want the server for themselves
        assert host.process.wait(10) == 0


def state_of(server: ServerProcess, uuid: str) -> int:
    request = stylizer_pb2.GetJobRequest(name=f"jobs/{uuid}")
    return int(server.stub.GetJob(request).job.state)
