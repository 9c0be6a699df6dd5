"""Owners take turns; within one owner, first come, first served; what had begun goes first."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from impasto_server.jobs import Job
from impasto_server.jobs.line import in_line

from .room import spec


def waiting(*owners: str) -> list[Job]:
    return [Job(f"{owner}{number}", spec(), float(number), owner) for number, owner in enumerate(owners)]


def ids(jobs: list[Job], **turns: int) -> list[str]:
    return [job.id for job in in_line(jobs, turns)]


@given(st.lists(st.sampled_from("abc"), max_size=20))
def test_all_are_in_line_once_and_each_owner_s_jobs_in_their_order(owners: list[str]) -> None:
    jobs = waiting(*owners)
    order = ids(jobs)
    assert sorted(order) == sorted(job.id for job in jobs)
    for owner in "abc":
        own = [int(job_id[1:]) for job_id in order if job_id[0] == owner]
        assert own == sorted(own)


def test_one_owner_with_many_jobs_does_not_keep_another_waiting() -> None:
    assert ids(waiting("ann", "ann", "ann", "bob")) == ["ann0", "bob3", "ann1", "ann2"]


def test_who_has_just_had_a_turn_is_last() -> None:
    assert ids(waiting("ann", "ann", "bob"), ann=2, bob=1) == ["bob2", "ann0", "ann1"]


def test_what_had_begun_goes_first_whoever_owns_it() -> None:
    jobs = waiting("ann", "bob", "bob")
    jobs[2] = replace(jobs[2], attempt=1)
    assert ids(jobs, bob=9) == ["bob2", "ann0", "bob1"]
