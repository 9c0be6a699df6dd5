"""Owners take turns; within one owner, first come, first served."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto_server.jobs.queue import JobQueue


async def taken(queue: JobQueue, device: str = "cpu") -> list[str]:
    return [await queue.take(device) for _ in range(len(queue))]


@given(st.lists(st.sampled_from("abc"), max_size=20))
def test_positions_are_the_order_in_which_jobs_are_taken(owners: list[str]) -> None:
    queue = JobQueue()
    for number, owner in enumerate(owners):
        queue.put(f"{owner}{number}", owner, None)
    announced = list(queue)
    order = asyncio.run(taken(queue))
    assert announced == order
    for owner in "abc":
        own = [int(job_id[1:]) for job_id in order if job_id[0] == owner]
        assert own == sorted(own)


async def test_one_owner_with_many_jobs_does_not_keep_another_waiting() -> None:
    queue = JobQueue()
    for number in range(5):
        queue.put(f"ann{number}", "ann", None)
    queue.put("bob0", "bob", None)
    assert (await taken(queue)).index("bob0") == 1


async def test_a_job_that_names_a_device_waits_for_it() -> None:
    queue = JobQueue()
    queue.put("picky", "ann", "cuda:1")
    queue.put("any", "ann", None)
    assert await queue.take("cuda:0") == "any"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await queue.take("cuda:0")
    assert await queue.take("cuda:1") == "picky"


async def test_what_ran_before_goes_first() -> None:
    queue = JobQueue()
    queue.put("new", "ann", None)
    queue.put("ran", "ann", None, first=True)
    assert await taken(queue) == ["ran", "new"]


async def test_a_taker_that_waits_gets_what_comes() -> None:
    queue = JobQueue()
    taker = asyncio.create_task(queue.take("cpu"))
    await asyncio.sleep(0)
    queue.put("late", "ann", None)
    assert await asyncio.wait_for(taker, 1) == "late"


async def test_what_left_is_not_taken() -> None:
    queue = JobQueue()
    queue.put("a", "ann", None)
    queue.put("b", "ann", None)
    queue.remove("a")
    queue.remove("a")
    assert await taken(queue) == ["b"]
    assert len(queue) == 0
