"""A private server that dies under its watchers: it is started again and the job goes on, but not for ever."""

import asyncio
import os
import signal
import time

import pytest

import impasto
from impasto import JobState, Progress, Reconnecting, StateChanged
from tests.client.conftest import JOB, server_processes

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Unix sockets")


def watch(photo, on_event):
    """All events of a job, seen by the blocking client."""
    with impasto.Client() as client:
        job = client.submit(photo, "night-swirl", recipe="draft", size_px=64, steps=40)
        events = []
        for event in job.watch(previews=None):
            on_event(event)
            events.append(event)
        return events, job.result()


def watch_async(photo, on_event):
    """All events of a job, seen by the asyncio client."""

    async def collect():
        async with impasto.AsyncClient() as client:
            job = await client.submit(photo, "night-swirl", recipe="draft", size_px=64, steps=40)
            events = []
            async for event in job.watch(previews=None):
                on_event(event)
                events.append(event)
            return events, await job.result()

    return asyncio.run(collect())


@pytest.mark.parametrize("watched", [watch, watch_async], ids=["sync", "async"])
def test_a_server_killed_during_a_job_is_started_again_and_the_job_goes_on(private, photo, watched):
    killed = []

    def kill_once(event):
        if isinstance(event, Progress) and event.step > 5 and not killed:
            killed.extend(server_processes(private))
            os.kill(killed[0], signal.SIGKILL)

    events, picture = watched(photo, kill_once)
    sequences = [event.sequence for event in events if event.sequence]
    assert sequences == list(range(1, len(sequences) + 1))
    lost = [event.error for event in events if isinstance(event, Reconnecting)]
    assert "the private server died and is started again" in lost
    states = [event.state for event in events if isinstance(event, StateChanged)]
    assert states[-1] is JobState.SUCCEEDED
    assert max(event.attempt for event in events) == 2
    assert picture.size == (64, 43)
    (second,) = server_processes(private)
    assert [second] != killed


DYING_SERVER = """
import os, sys, threading
from concurrent.futures import ThreadPoolExecutor
import grpc
from impasto.v1 import job_pb2, stylizer_pb2, stylizer_pb2_grpc

lives = int(os.environ["LIVES_WITH_A_STEP"])
with open(os.environ["BIRTHS"], "a") as births:
    births.write("x")
    life = births.tell()
print("life", life, flush=True)

class Dying(stylizer_pb2_grpc.StylizerServicer):
    def GetServerInfo(self, request, context):
        return stylizer_pb2.GetServerInfoResponse()

    def GetJob(self, request, context):
        return stylizer_pb2.GetJobResponse(job=job_pb2.Job(name=request.name, state=job_pb2.Job.STATE_RUNNING))

    def WatchJob(self, request, context):
        event = job_pb2.JobEvent(sequence=request.after_sequence + 1, attempt=life)
        if life <= lives:
            event.progress.step = life
        else:
            event.state.state = job_pb2.Job.STATE_RUNNING
        yield stylizer_pb2.WatchJobResponse(event=event)
        threading.Timer(0.1, os._exit, [1]).start()
        threading.Event().wait()

server = grpc.server(ThreadPoolExecutor(8))
stylizer_pb2_grpc.add_StylizerServicer_to_server(Dying(), server)
server.add_insecure_port(sys.argv[sys.argv.index("--listen") + 1])
server.start()
server.wait_for_termination()
"""


@pytest.fixture
def births(private, tmp_path, monkeypatch):
    """Puts a server that dies at each watch in the place of ours, and counts how often it is started."""
    folder = tmp_path / "dying"
    folder.mkdir()
    (folder / "impasto_server.py").write_text(DYING_SERVER)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("BIRTHS", str(tmp_path / "births"))
    return tmp_path / "births"


def watch_job():
    with impasto.Client() as client:
        yield from client.job(JOB).watch(previews=None)


def watch_job_async():
    async def collect():
        async with impasto.AsyncClient() as client:
            async for event in (await client.job(JOB)).watch(previews=None):
                events.append(event)

    events = []
    try:
        asyncio.run(collect())
    finally:
        yield from events


@pytest.mark.parametrize("watched", [watch_job, watch_job_async], ids=["sync", "async"])
def test_a_server_that_keeps_dying_is_given_up_after_three_starts(private, births, monkeypatch, watched):
    monkeypatch.setenv("LIVES_WITH_A_STEP", "0")
    start = time.monotonic()
    with pytest.raises(impasto.LocalServerError, match="stopped answering") as caught:
        list(watched())
    assert births.read_text() == "x" * 4
    assert "life 4" in caught.value.details
    assert time.monotonic() - start < 60


def test_each_step_in_between_gives_it_three_more(private, births, monkeypatch):
    monkeypatch.setenv("LIVES_WITH_A_STEP", "5")
    events = []
    with pytest.raises(impasto.LocalServerError):
        for event in watch_job():
            events.append(event)
    assert [event.step for event in events if isinstance(event, Progress)] == [1, 2, 3, 4, 5]
    # The fifth death is the first one without a step after it.
    assert births.read_text() == "x" * 8
