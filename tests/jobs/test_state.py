"""A job is the fold of its events: whatever order they could come in, only lawful ones are taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto_server.engine import Losses, Progressed
from impasto_server.jobs import Event, Job, JobError, Result, State, StateChanged
from impasto_server.jobs.state import Deaths, EventBody, IllegalTransition, after

from .room import spec
from .scripted_engine import FACTS

STEP = Progressed(1, 1, 1, 9, 64, 64, Losses(1, 2, 3, 6), 1.0, 8.0)
BODIES = st.one_of(
    st.sampled_from(State).map(StateChanged),
    st.just(STEP),
    st.integers(1, 9).map(lambda step: Result("r", step, True, 9, FACTS)),
)


def folded(*bodies: EventBody) -> Job:
    job = Job("id", spec(), create_time=0.0)
    for sequence, body in enumerate(bodies, start=1):
        job = after(job, Event(sequence, float(sequence), 1, body))
    return job


def test_a_life_without_incident() -> None:
    job = folded(
        StateChanged(State.QUEUED, queue_position=1),
        StateChanged(State.RUNNING, device="cpu"),
        STEP,
        Result("r", 9, False, 9, FACTS),
        StateChanged(State.SUCCEEDED),
    )
    assert (job.state, job.device, job.start_time, job.end_time) == (State.SUCCEEDED, "cpu", 2.0, 5.0)
    assert (job.progress, job.result) == (STEP, Result("r", 9, False, 9, FACTS))


def test_another_attempt_does_not_change_when_the_job_began() -> None:
    again = StateChanged(State.QUEUED, deaths=Deaths(1))
    job = folded(StateChanged(State.QUEUED), StateChanged(State.RUNNING), STEP, again, StateChanged(State.RUNNING))
    assert job.start_time == 2.0
    assert job.deaths == Deaths(1)


def test_a_failure_keeps_its_reason() -> None:
    error = JobError("OUT_OF_MEMORY", "try a smaller size")
    assert folded(StateChanged(State.RUNNING), StateChanged(State.FAILED, error=error)).error == error


def test_a_gap_in_the_sequence_is_a_defect() -> None:
    with pytest.raises(IllegalTransition):
        after(folded(), Event(2, 0.0, 0, StateChanged(State.QUEUED)))


@given(st.lists(BODIES, max_size=12))
def test_nothing_happens_after_the_end_and_no_state_is_skipped(bodies: list[EventBody]) -> None:
    job = Job("id", spec(), create_time=0.0)
    for body in bodies:
        event = Event(job.last_sequence + 1, 1.0, 1, body)
        before = job.state
        try:
            job = after(job, event)
        except IllegalTransition:
            assert before.has_ended or isinstance(body, StateChanged)
            continue
        assert not before.has_ended
        if job.state is State.SUCCEEDED:
            assert before in (State.RUNNING, State.CANCELLING)
    assert (job.end_time is not None) == job.state.has_ended
