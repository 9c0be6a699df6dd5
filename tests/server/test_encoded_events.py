"""What many watch is encoded once, and each of them reads what it would have read alone."""

from __future__ import annotations

import pytest

from impasto.v1 import image_pb2, stylizer_pb2
from impasto_server.codec import ImageFacts
from impasto_server.engine import Losses, Noticed, Previewed, PreviewSpec, Progressed
from impasto_server.jobs import Event, JobError, Result, State, StateChanged, Watched
from impasto_server.service import outgoing
from impasto_server.service.encoded import EncodedEvents
from tests import wire
from tests.server_process import ServerProcess

BODIES = (
    StateChanged(State.QUEUED, queue_position=3),
    StateChanged(State.FAILED, error=JobError("OUT_OF_MEMORY", "try --size 88")),
    Progressed(1, 2, 3, 9, 64, 96, Losses(0.1, 1e-30, 3e300, 6.0), 1.5, 8.25),
    Noticed("TILES_SMALLER", "It goes on in tiles of 512 px."),
    Result("r" * 64, 9, True, 1234, ImageFacts("PNG", 64, 96, has_alpha=False)),
)


def previewed(size: int = 30) -> Previewed:
    return Previewed(PreviewSpec(), bytes(size), 5, 6, 7, 1)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_an_event_is_the_same_message_for_all(body: StateChanged) -> None:
    events = EncodedEvents()
    item = Event(4, 12.5, 1, body)
    first = events.response(item)
    assert stylizer_pb2.WatchJobResponse.FromString(first).event == outgoing.event(item)
    assert events.response(item) is first


def test_how_many_previews_a_watcher_missed_is_its_own_affair() -> None:
    events = EncodedEvents()
    preview = previewed()
    for coalesced in (0, 3, 0, 200):
        item = Watched(preview, 12.5, 1, coalesced)
        message = stylizer_pb2.WatchJobResponse.FromString(events.response(item))
        assert message.event == outgoing.event(item)
    assert events.response(Watched(preview, 12.5, 1, 0)) is events.response(Watched(preview, 12.5, 1, 0))


def test_events_that_look_alike_are_not_taken_for_each_other() -> None:
    events = EncodedEvents()
    for sequence in range(2000):  # many of them in the place in memory of one that is gone
        data = events.response(Event(sequence, 12.5, 1, BODIES[2]))
        assert stylizer_pb2.WatchJobResponse.FromString(data).event.sequence == sequence


def test_only_so_much_is_kept() -> None:
    events = EncodedEvents()
    for _ in range(40):
        events.response(Watched(previewed(2**20), 12.5, 1, 0))
    assert sum(len(data) for _, data in events._kept.values()) <= 17 * 2**20
    for sequence in range(1000):
        events.response(Event(sequence, 12.5, 1, BODIES[0]))
    assert len(events._kept) <= 256
    assert sum(len(data) for _, data in events._kept.values()) == events._kept_bytes
    huge = Watched(previewed(2**25), 12.5, 1, 0)
    assert events.response(huge) is events.response(huge)


def test_watchers_of_one_job_read_the_same_events_with_and_without_previews(
    server: ServerProcess, photo_png: bytes
) -> None:
    job = wire.create_job(server.stub, wire.upload(server.stub, photo_png), steps=30)
    wish = image_pb2.PreviewOptions(max_size_px=32, max_per_second=60)
    seen = [list(wire.watch(server.stub, job.name, previews=options)) for options in (wish, None, wish)]
    journaled = [[event for event in events if event.sequence] for events in seen]
    assert journaled[0] == journaled[1] == journaled[2]
    assert journaled[0][-1].sequence == len(journaled[0])
