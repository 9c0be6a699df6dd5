"""The asyncio client with a real server: the same words."""

import asyncio
import inspect

import numpy as np
import pytest

import impasto
from impasto import JobState, Preview, Progress, StateChanged

TINY = {"size_px": 48, "steps": 4}
LONG = {"size_px": 64, "steps": 9000}


@pytest.fixture
def run(server):
    """Runs a test's coroutine with a connected client."""

    def run(test):
        async def main():
            async with impasto.AsyncClient(server.address) as client:
                return await test(client)

        return asyncio.run(main())

    return run


@pytest.mark.parametrize(
    ("blocking", "asynchronous"), [(impasto.Client, impasto.AsyncClient), (impasto.Job, impasto.AsyncJob)]
)
def test_both_clients_have_the_same_words(blocking, asynchronous):
    def words(kind):
        methods = inspect.getmembers(kind, lambda member: inspect.isfunction(member) or isinstance(member, property))
        return {
            name: list(inspect.signature(method).parameters) if inspect.isfunction(method) else "property"
            for name, method in methods
            if not name.startswith("_")
        }

    assert words(blocking) == words(asynchronous)


def test_a_picture_is_painted(run, photo):
    async def test(client):
        return await client.stylize(photo, "night-swirl", **TINY)

    picture = run(test)
    assert picture.size == (48, 32)
    assert picture.info["impasto.step"] == 4


def test_a_jobs_events_tell_its_whole_story(run, photo):
    async def test(client):
        job = await client.submit(photo, "mist-ink", **TINY)
        return job, [event async for event in job]

    job, events = run(test)
    states = [event.state for event in events if isinstance(event, StateChanged)]
    assert states == [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED]
    sequenced = [event.sequence for event in events if event.sequence]
    assert sequenced == list(range(1, len(sequenced) + 1))
    assert job.state is JobState.SUCCEEDED


def test_many_jobs_are_followed_side_by_side(run, photo):
    async def test(client):
        stored = await client.upload(photo)
        jobs = [await client.submit(stored, "mist-ink", seed=seed, **TINY) for seed in range(4)]
        return await asyncio.gather(*(job.result() for job in jobs))

    assert [picture.size for picture in run(test)] == [(48, 32)] * 4


def test_cancelling_keeps_the_last_picture(run, photo):
    async def test(client):
        job = await client.submit(photo, "mist-ink", **LONG)
        async for event in job:
            if isinstance(event, Preview):
                break
        await job.update(style_weight=2.0)
        await job.cancel()
        with pytest.raises(impasto.JobCancelledError) as caught:
            await job.result(timeout_s=60)
        assert caught.value.partial is not None
        assert caught.value.partial.thumbnail is not None
        picture = await job.partial()
        await job.delete()
        with pytest.raises(impasto.JobNotFoundError):
            await client.job(job.id)
        return picture

    assert run(test).info["impasto.partial"] is True


def test_a_cancelled_stylize_cancels_its_job(run, photo):
    async def test(client):
        task = asyncio.create_task(client.stylize(photo, "mist-ink", seed=99, **LONG))
        newest = None
        while newest is None or newest.message.spec.parameters.seed != 99:
            await asyncio.sleep(0.05)
            newest = await anext(client.jobs(), None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(impasto.JobCancelledError):
            await newest.result(timeout_s=60)

    run(test)


def test_waiting_has_an_end_and_the_job_has_not(run, photo):
    async def test(client):
        job = await client.submit(photo, "mist-ink", **LONG)
        with pytest.raises(impasto.ResultTimeoutError):
            await job.result(timeout_s=0.3)
        async for event in job.watch(previews=None):
            if isinstance(event, Progress):
                break
        await job.cancel()
        async for _ in job.watch(previews=None):
            pass
        return job.state

    assert run(test) is JobState.CANCELLED


def test_a_large_upload_that_is_known_or_refused_half_way_gets_its_real_answer(run):
    noise = np.random.default_rng(6).integers(0, 255, (1000, 1300, 3), dtype=np.uint8)

    async def test(client):
        first, *others = [await client.upload(noise) for _ in range(8)]
        assert others == [first] * 7
        for _ in range(3):
            with pytest.raises(impasto.ImageError) as caught:
                await client.upload(b"no picture" * 500_000)
            assert caught.value.reason == "IMAGE_UNREADABLE"

    run(test)


def test_refusals_are_the_same_exceptions(run, photo):
    async def test(client):
        with pytest.raises(impasto.ParameterError, match="Did you mean 'mist-ink'"):
            await client.submit(photo, "mist-imk")
        with pytest.raises(impasto.ImageError) as caught:
            await client.submit(b"no picture", "mist-ink")
        assert caught.value.field == "spec.content"
        with pytest.raises(TypeError, match="style_weight"):
            await client.submit(photo, "mist-ink", style_wight=1)
        with pytest.raises(impasto.ImageNotFoundError):
            await client.download("images/" + "0" * 64)

    run(test)


def test_a_job_goes_on_from_where_another_ended(run, photo):
    async def test(client):
        first = await client.submit(photo, "mist-ink", **TINY)
        await first.result()
        second = await first.continue_with(steps=3)
        return first, second, await second.result()

    first, second, picture = run(test)
    assert second.message.spec.continue_from == first.name
    assert picture.info["impasto.step"] == 3


def test_the_server_says_what_it_is(run):
    async def test(client):
        return await client.server_info(), await client.styles()

    info, styles = run(test)
    assert info.gallery == styles
