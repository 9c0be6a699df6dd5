"""What a host is told of one request ends with a last word."""

from __future__ import annotations

import json
import os

import pytest

from impasto._helper._answers import Answers
from impasto._helper._frames import FrameWriter, HostGoneError


@pytest.mark.parametrize("last", ["done", "cancelled", "failed"])
def test_nothing_comes_after_the_last_word(last: str) -> None:
    ours, theirs = os.pipe()
    answers = Answers(FrameWriter(theirs), 7)
    for event in ("stage", last, "preview", "cancelled"):
        answers.tell(event)
    Answers(FrameWriter(theirs), 8).tell("end")
    os.close(theirs)
    with os.fdopen(ours) as told:
        heads = [json.loads(line) for line in told]
    assert [(head["id"], head["event"]) for head in heads] == [(7, "stage"), (7, last), (8, "end")]


def test_a_host_that_is_gone_is_told_from_a_disk_that_is_full() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with pytest.raises(HostGoneError):
        Answers(FrameWriter(theirs), 7).tell("end")
    os.close(theirs)
