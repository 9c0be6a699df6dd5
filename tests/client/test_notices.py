"""Notices: a line for whoever waits, and no trouble for those who know nothing of them."""

import json
from types import SimpleNamespace

import impasto
from impasto._cli._display import JsonDisplay, PlainDisplay
from impasto._helper._control import Control
from impasto._helper._reports import Reports
from impasto.v1 import job_pb2
from tests.client.conftest import JOB, progress_event, state_event

TEXT = "Memory ran out at tiles of 1024 px; it goes on in tiles of 512 px."


def goes_on(request, context):
    """Runs, is short of memory, and gets there all the same."""
    yield state_event(1, job_pb2.Job.STATE_RUNNING)
    yield job_pb2.JobEvent(sequence=2, attempt=1, notice=job_pb2.Notice(reason="TILES_SMALLER", message=TEXT))
    yield progress_event(3)
    # What only a later contract knows: a kind that isn't in ours.
    yield job_pb2.JobEvent.FromString(job_pb2.JobEvent(sequence=4).SerializeToString() + b"\xfa\x01\x00")
    yield state_event(5, job_pb2.Job.STATE_SUCCEEDED)


def test_a_watcher_gets_a_notice_in_its_place(serve):
    with impasto.Client(serve(goes_on).address) as client:
        events = list(client.job(JOB))
    assert [event.sequence for event in events] == [1, 2, 3, 5]
    notice = events[1]
    assert isinstance(notice, impasto.Notice)
    assert (notice.reason, notice.message, notice.attempt) == ("TILES_SMALLER", TEXT, 1)


def test_a_notice_is_a_line_for_people_and_an_object_for_programs(serve, capsys):
    with impasto.Client(serve(goes_on).address) as client:
        notice = list(client.job(JOB))[1]
    PlainDisplay().show(notice)
    assert capsys.readouterr().err == TEXT + "\n"
    JsonDisplay().show(notice)
    told = json.loads(capsys.readouterr().out)
    assert (told["type"], told["sequence"], told["reason"], told["message"]) == ("notice", 2, "TILES_SMALLER", TEXT)


def test_the_helper_hands_the_sentence_on_to_its_host(serve):
    told = []
    answers = SimpleNamespace(tell=lambda event, *_, **fields: told.append((event, fields)))
    with impasto.Client(serve(goes_on).address) as client:
        Reports(answers, Control(answers), preview_px=0, profile=b"").follow(client.job(JOB))
    assert [name for name, _ in told] == ["stage", "notice", "progress"]
    assert told[1][1] == {"sentence": TEXT}
