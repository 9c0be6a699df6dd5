"""Jobs that fail: the server's reason reaches whoever waits, watches or asks."""

import asyncio

import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

import impasto
from impasto.v1 import job_pb2, stylizer_pb2
from tests.client.conftest import JOB, Scripted, running, state_event

TEXT = "The GPU ran out of memory. Choose a smaller size."


def out_of_memory():
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason="OUT_OF_MEMORY", domain="impasto"))
    return status_pb2.Status(code=8, message=TEXT, details=[detail])


def fails(request, context):
    """Runs, then fails."""
    yield state_event(1, job_pb2.Job.STATE_RUNNING)
    event = state_event(2, job_pb2.Job.STATE_FAILED)
    event.state.error.CopyFrom(out_of_memory())
    yield event


class Failed(Scripted):
    """Its jobs have failed long ago."""

    def GetJob(self, request, context):  # noqa: N802 (the contract's name)
        job = job_pb2.Job(name=request.name, state=job_pb2.Job.STATE_FAILED, error=out_of_memory())
        return stylizer_pb2.GetJobResponse(job=job)


def test_whoever_waits_gets_the_reason(serve):
    with impasto.Client(serve(fails).address) as client:
        job = client.job(JOB)
        with pytest.raises(impasto.JobFailedError) as caught:
            job.result()
    assert (str(caught.value), caught.value.reason, caught.value.job) == (TEXT, "OUT_OF_MEMORY", JOB)
    assert job.state == "failed"


def test_whoever_awaits_gets_the_reason(serve):
    address = serve(fails).address

    async def wait():
        async with impasto.AsyncClient(address) as client:
            await (await client.job(JOB)).result()

    with pytest.raises(impasto.JobFailedError, match="Choose a smaller size"):
        asyncio.run(wait())


def test_whoever_watches_sees_the_reason_in_the_last_event(serve):
    with impasto.Client(serve(fails).address) as client:
        *_, last = client.job(JOB)
    assert str(last.error) == TEXT
    assert last.error.reason == "OUT_OF_MEMORY"


def test_whoever_asks_later_gets_the_reason_without_watching():
    with running(Failed(fails)) as server, impasto.Client(server.address) as client:
        job = client.job(JOB)
        assert str(job.error) == TEXT
        with pytest.raises(impasto.JobFailedError, match="ran out of memory"):
            job.result()
        assert server.servicer.watched == []
