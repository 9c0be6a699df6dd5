"""Watching over connections that break, in both forms of the client, against real servers that misbehave."""

import asyncio
import threading
import time

import grpc
import pytest

import impasto
from impasto import JobState, Preview, Progress, Reconnect, Reconnecting, StateChanged
from impasto.v1 import job_pb2
from tests.client.conftest import JOB, Scripted, progress_event, running, state_event

EAGER = Reconnect(give_up_after_s=20, first_delay_s=0.05, longest_delay_s=0.2)
RUNNING, SUCCEEDED = job_pb2.Job.STATE_RUNNING, job_pb2.Job.STATE_SUCCEEDED


def watch(address, reconnect=EAGER, **options):
    """All events of the job, seen by the blocking client."""
    with impasto.Client(address, reconnect=reconnect) as client:
        return list(client.job(JOB).watch(**options))


def watch_async(address, reconnect=EAGER, **options):
    """All events of the job, seen by the asyncio client."""

    async def collect():
        async with impasto.AsyncClient(address, reconnect=reconnect) as client:
            return [event async for event in (await client.job(JOB)).watch(**options)]

    return asyncio.run(collect())


@pytest.fixture(params=[watch, watch_async], ids=["sync", "async"])
def watched(request):
    """Either form of the client."""
    return request.param


def breaks_after_two(request, context):
    """Sends two events, then the connection is gone."""
    yield state_event(1, RUNNING)
    yield progress_event(2, 1)
    context.abort(grpc.StatusCode.UNAVAILABLE, "cable pulled")


def goes_on(request, context):
    """Sends what comes after the watcher's place."""
    for event in [state_event(1, RUNNING), progress_event(2, 1), progress_event(3, 2), state_event(4, SUCCEEDED)]:
        if event.sequence > request.after_sequence:
            yield event


def sequences(events):
    return [event.sequence for event in events if event.sequence]


def test_a_watcher_that_reconnects_sees_every_event_once(serve, watched):
    server = serve(breaks_after_two, goes_on)
    events = watched(server.address)
    assert sequences(events) == [1, 2, 3, 4]
    assert [request.after_sequence for request in server.servicer.watched] == [0, 2]
    lost = [event for event in events if isinstance(event, Reconnecting)]
    assert [(event.retry, event.error) for event in lost] == [(1, "cable pulled")]
    assert isinstance(events[-1], StateChanged)
    assert events[-1].state is JobState.SUCCEEDED


def test_events_that_are_sent_twice_are_seen_once(serve, watched):
    def repeats_everything(request, context):
        yield state_event(1, RUNNING)
        yield progress_event(2, 1)
        yield progress_event(2, 1)
        yield progress_event(3, 2)
        yield state_event(4, SUCCEEDED)

    server = serve(breaks_after_two, repeats_everything)
    assert sequences(watched(server.address)) == [1, 2, 3, 4]


def test_a_server_that_cancels_its_calls_as_it_stops_has_only_lost_contact(serve, watched):
    def cancels(request, context):
        yield state_event(1, RUNNING)
        context.abort(grpc.StatusCode.CANCELLED, "stopping")

    server = serve(cancels, goes_on)
    assert sequences(watched(server.address)) == [1, 2, 3, 4]


def test_a_stream_that_ends_before_the_job_is_taken_up_again(serve, watched):
    def ends_early(request, context):
        yield state_event(1, RUNNING)

    server = serve(ends_early, goes_on)
    assert sequences(watched(server.address)) == [1, 2, 3, 4]


def test_watching_from_behind_the_last_event_ends_at_once(serve, watched):
    server = serve(lambda request, context: iter(()), state=SUCCEEDED)
    assert watched(server.address, after_sequence=99) == []


def test_a_server_that_comes_back_on_the_same_address_is_found(tmp_path, watched):
    listen = f"unix:{tmp_path}/s.sock"
    first = Scripted(breaks_after_two)
    back = threading.Event()

    def restart():
        with running(first, listen) as server:
            while not first.watched:
                time.sleep(0.01)
            server.server.stop(0).wait()
        time.sleep(0.5)
        with running(Scripted(goes_on), listen):
            back.wait(20)

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        while not (tmp_path / "s.sock").exists():
            time.sleep(0.01)
        assert sequences(watched(listen)) == [1, 2, 3, 4]
    finally:
        back.set()
        thread.join()


def test_a_server_that_stays_away_is_given_up_and_named(serve, watched):
    def dies(request, context):
        yield state_event(1, RUNNING)
        context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    def refuses(request, context):
        context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        yield

    server = serve(dies, refuses)
    policy = Reconnect(give_up_after_s=0.5, first_delay_s=0.1, longest_delay_s=0.2)
    start = time.monotonic()
    with pytest.raises(impasto.ServerUnavailableError, match=rf"(?s)answers at {server.address}\. .*\nWatchJob: gone"):
        watched(server.address, policy)
    assert 0.4 < time.monotonic() - start < 5


def test_a_job_that_is_gone_after_the_break_is_not_waited_for(serve, watched):
    def forgot(request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "no such job")
        yield

    with pytest.raises(impasto.NotFoundError, match="no such job"):
        watched(serve(breaks_after_two, forgot).address)


def test_no_answer_in_time_leaves_the_job_alone(serve, watched):
    def silent(request, context):
        yield state_event(1, RUNNING)
        time.sleep(3)

    with pytest.raises(impasto.ResultTimeoutError, match="It goes on"):
        watched(serve(silent).address, timeout_s=0.5)


def endless(request, context):
    """A job that never ends."""
    yield state_event(1, RUNNING)
    sequence = 2
    while context.is_active():
        yield progress_event(sequence)
        yield job_pb2.JobEvent(preview=job_pb2.Preview(data=b"x", step=1))
        sequence += 1
        time.sleep(0.01)


def eventually(condition, timeout_s=5.0):
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_leaving_the_loop_ends_the_call_and_nothing_else(serve):
    server = serve(endless)
    with impasto.Client(server.address) as client:
        job = client.job(JOB)
        for event in job:
            if isinstance(event, Preview):
                break
        assert eventually(lambda: server.servicer.dropped == 1)
        assert job.state is JobState.RUNNING
        assert isinstance(job.progress, Progress)


def test_leaving_the_async_loop_ends_the_call_and_nothing_else(serve):
    server = serve(endless)

    async def look():
        async with impasto.AsyncClient(server.address) as client:
            async for event in await client.job(JOB):
                if isinstance(event, Preview):
                    break
            return await asyncio.to_thread(eventually, lambda: server.servicer.dropped == 1)

    assert asyncio.run(look())


def test_a_cancelled_task_ends_the_call_and_stays_cancelled(serve):
    server = serve(endless)

    async def look():
        async with impasto.AsyncClient(server.address) as client:
            job = await client.job(JOB)

            async def follow():
                async for _ in job:
                    pass

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(follow(), 0.3)
            return await asyncio.to_thread(eventually, lambda: server.servicer.dropped == 1)

    assert asyncio.run(look())


def test_a_watch_can_be_closed_from_another_thread(serve):
    server = serve(endless)
    with impasto.Client(server.address) as client:
        events = client.job(JOB).watch(previews=None)
        threading.Timer(0.3, events.close).start()
        assert sequences(events)[0] == 1


def silent(request, context):
    """A job of which nothing is heard after its first event."""
    yield state_event(1, RUNNING)
    while context.is_active():
        time.sleep(0.05)


def test_closing_wakes_an_async_watcher_whose_job_is_silent(serve):
    address = serve(silent).address

    async def look():
        async with impasto.AsyncClient(address) as client:
            events = (await client.job(JOB)).watch(previews=None)
            asyncio.get_running_loop().call_later(0.3, events.close)
            return await asyncio.wait_for(collect(events), 5)

    async def collect(events):
        return [event.sequence async for event in events]

    assert asyncio.run(look()) == [1]


def test_closing_wakes_a_watcher_whose_job_is_silent(serve):
    with impasto.Client(serve(silent).address) as client:
        events = client.job(JOB).watch(previews=None)
        threading.Timer(0.3, events.close).start()
        start = time.monotonic()
        assert sequences(events) == [1]
        assert time.monotonic() - start < 5


def test_nobody_at_the_address_is_said_within_seconds():
    start = time.monotonic()
    with pytest.raises(impasto.ServerUnavailableError, match=r"No Impasto server answers at 127\.0\.0\.1:9\. "):
        impasto.Client("127.0.0.1:9").server_info()
    assert time.monotonic() - start < 8


def test_nobody_at_the_address_is_said_to_async_callers_too():
    async def ask():
        async with impasto.AsyncClient("127.0.0.1:9") as client:
            await client.server_info()

    with pytest.raises(impasto.ServerUnavailableError, match="answers at"):
        asyncio.run(ask())


def test_an_older_server_is_named_with_its_version(serve):
    address = serve(goes_on).address
    with (
        impasto.Client(address) as client,
        pytest.raises(impasto.ServerTooOldError, match=r"is version 0\.0\.9 and does not know ListJobs"),
    ):
        list(client.jobs())


def test_an_older_server_is_named_to_async_callers_too(serve):
    address = serve(goes_on).address

    async def ask():
        async with impasto.AsyncClient(address) as client:
            await (await client.job(JOB)).cancel()

    with pytest.raises(impasto.ServerTooOldError, match=r"is version 0\.0\.9 and does not know CancelJob"):
        asyncio.run(ask())


class Flaky(Scripted):
    """Queues the job, but loses its first answer."""

    def CreateJob(self, request, context):  # noqa: N802 (the contract's name)
        self.created.append(request)
        if len(self.created) == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "answer lost")
        from impasto.v1 import stylizer_pb2

        return stylizer_pb2.CreateJobResponse(job=job_pb2.Job(name=JOB))


def test_a_lost_answer_to_submit_is_asked_for_again_with_the_same_request_id():
    name = "images/" + "0" * 64
    with running(Flaky(goes_on)) as server, impasto.Client(server.address) as client:
        assert client.submit(name, "night-swirl").name == JOB
    ids = [request.request_id for request in server.servicer.created]
    assert len(ids) == 2
    assert ids[0] == ids[1]
    assert len(ids[0]) == 36
