"""Where a watcher stands when contact is lost, whatever the network does."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from impasto import PreviewOptions, Reconnect, Reconnecting, StateChanged
from impasto._reconnect import Backoff, Follower
from impasto.v1 import job_pb2, stylizer_pb2

NAME = "jobs/11111111-2222-4333-8444-555555555555"


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def journal(steps: int) -> list[job_pb2.JobEvent]:
    """A job's whole life: queued, running, its steps, succeeded."""
    events = [job_pb2.JobEvent(state=job_pb2.StateChange(state=job_pb2.Job.STATE_RUNNING))]
    events += [job_pb2.JobEvent(progress=job_pb2.Progress(step=step + 1)) for step in range(steps)]
    events += [job_pb2.JobEvent(result=job_pb2.Result(step=steps))]
    events += [job_pb2.JobEvent(state=job_pb2.StateChange(state=job_pb2.Job.STATE_SUCCEEDED))]
    for sequence, event in enumerate(events, start=1):
        event.sequence = sequence
    return events


connection = st.fixed_dictionaries(
    {"delivered": st.integers(0, 6), "repeated": st.integers(0, 3), "previews": st.integers(0, 2)}
)


@given(st.integers(0, 12), st.lists(connection, max_size=12))
def test_every_journaled_event_comes_once_and_in_order_however_often_contact_is_lost(steps, connections):
    events = journal(steps)
    follower = Follower(NAME, clock=Clock(), jitter=lambda: 0.5)
    seen = []
    for one in [*connections, {"delivered": len(events), "repeated": 1, "previews": 0}]:
        start = follower.request().after_sequence
        # A server that repeats what was asked for already must not confuse anybody.
        sent = events[max(0, start - one["repeated"]) : start + one["delivered"]]
        sent += [job_pb2.JobEvent(preview=job_pb2.Preview(step=1))] * one["previews"]
        for event in sent:
            record = follower.received(stylizer_pb2.WatchJobResponse(event=event))
            if record is not None and record.sequence:
                seen.append(record.sequence)
        if not follower.ended:
            assert isinstance(follower.lost("cable"), Reconnecting)
    assert seen == list(range(1, len(events) + 1))
    assert follower.ended


@given(st.floats(0.1, 60), st.floats(0.05, 5), st.floats(0.1, 20), st.lists(st.floats(0, 1), min_size=1))
def test_trying_again_never_goes_on_longer_than_allowed(limit_s, first_s, longest_s, jitters):
    clock, policy = Clock(), Reconnect(give_up_after_s=limit_s, first_delay_s=first_s, longest_delay_s=longest_s)
    draws = iter(jitters * 10_000)
    backoff = Backoff(policy, clock=clock, jitter=lambda: next(draws))
    for _ in range(10_000):
        delay_s = backoff.next_delay_s()
        if delay_s is None:
            break
        assert 0 < delay_s <= longest_s
        clock.now += delay_s
        assert clock.now <= limit_s * 1.000001
    else:
        raise AssertionError("never gave up")
    assert clock.now >= limit_s * 0.999999


def test_delays_grow_and_contact_makes_them_small_again():
    clock = Clock()
    backoff = Backoff(Reconnect(first_delay_s=1, longest_delay_s=4), clock=clock, jitter=lambda: 1.0)
    assert [backoff.next_delay_s() for _ in range(4)] == [1, 2, 4, 4]
    backoff.contact()
    assert backoff.next_delay_s() == 1


def test_the_time_without_contact_counts_from_its_loss_not_from_the_last_event():
    clock = Clock()
    follower = Follower(NAME, reconnect=Reconnect(give_up_after_s=60), clock=clock)
    assert follower.lost("cable") is not None
    follower.connected()
    clock.now = 3600  # a job that waited for an hour, without an event
    assert follower.lost("cable") is not None
    clock.now += 61
    assert follower.lost("cable") is None


def test_a_server_that_names_a_time_is_not_asked_before():
    backoff = Backoff(Reconnect(first_delay_s=0.1), jitter=lambda: 0.0)
    assert backoff.next_delay_s(at_least_s=7.5) == 7.5


def test_with_no_time_to_give_the_first_loss_is_the_last():
    assert Follower(NAME, reconnect=Reconnect(give_up_after_s=0)).lost("cable") is None


def test_reconnecting_says_what_happened_and_how_long_it_waits():
    follower = Follower(NAME, reconnect=Reconnect(first_delay_s=1), jitter=lambda: 1.0)
    event = follower.lost("cable pulled")
    assert event is not None
    assert (event.retry, event.delay_s, event.error, event.sequence) == (1, 1.0, "cable pulled", 0)


def test_an_event_of_an_unknown_kind_is_passed_over_but_counted():
    follower = Follower(NAME)
    later = stylizer_pb2.WatchJobResponse(event=job_pb2.JobEvent(sequence=4))
    assert follower.received(later) is None
    assert follower.request().after_sequence == 4


def test_a_state_of_a_later_contract_does_not_end_the_watch():
    follower = Follower(NAME)
    response = stylizer_pb2.WatchJobResponse()
    response.event.sequence = 1
    response.event.state.state = 99
    record = follower.received(response)
    assert isinstance(record, StateChanged)
    assert record.state == "unknown"
    assert not follower.ended


def test_previews_are_asked_for_on_every_call_and_only_if_wanted():
    follower = Follower(NAME, previews=PreviewOptions(max_size_px=64, format="webp"))
    assert follower.request().previews.max_size_px == 64
    assert not Follower(NAME).request().HasField("previews")
    assert Follower(NAME, previews=PreviewOptions()).request().HasField("previews")
