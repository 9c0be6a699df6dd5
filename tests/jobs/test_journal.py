"""The journal: everything comes back as it was, whatever moment the power went."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from impasto_server.engine import Losses, Noticed, Progressed, ResultFormat, Steering
from impasto_server.jobs import (
    Event,
    ImageNotFound,
    Job,
    JobError,
    JobNotFound,
    JobSpec,
    JournalError,
    RequestIdReused,
    Result,
    State,
    StateChanged,
    StyleSource,
    codecs,
    resolve,
)
from impasto_server.jobs.journal import Journal, StoredCheckpoint, StoredSteering, lock
from impasto_server.jobs.schema import VERSION
from impasto_server.jobs.state import Deaths, after

from .scripted_engine import FACTS

PARAMETERS = {"size_px": 640, "style_layers": ("relu1_1", "conv4_2"), "tv_weight": 0.1, "weights": "original"}
SPEC = JobSpec(
    content="c" * 64,
    styles=(StyleSource("s" * 64, "night-swirl", 0.3), StyleSource("t" * 64)),
    recipe="painterly",
    resolved=resolve("painterly", PARAMETERS, continues=True),
    parameters=PARAMETERS,
    device="cuda:0",
    continue_from="a-job",
    result_format=ResultFormat("TIFF", 16),
)
LIFE = (
    StateChanged(State.QUEUED, queue_position=3),
    StateChanged(State.RUNNING, device="cuda:0"),
    Progressed(1, 2, 3, 9, 64, 96, Losses(0.1, 1e-30, 3e300, 6.0), 1.5, 8.25),
    Noticed("TILES_SMALLER", "Memory ran out at tiles of 1024 px; it goes on in tiles of 512 px."),
    StateChanged(State.QUEUED, deaths=Deaths(2, 1, 1, 3, frozenset({"cuda:0"}))),
    StateChanged(State.RUNNING, device="cuda:1"),
    Result("r" * 64, 9, True, 1234, FACTS),
    StateChanged(State.FAILED, error=JobError("OUT_OF_MEMORY", "try --size 88")),
)
PINNED = SPEC.images


def lived(journal: Journal, job_id: str, request_id: str = "") -> tuple[Job, list[Event]]:
    """A job with a whole life, journaled as it goes."""
    job = Job(job_id, SPEC, 12.5, "ann")
    events = []
    for sequence, body in enumerate(LIFE, start=1):
        events.append(Event(sequence, 100.0 + sequence, 1, body))
        job = after(job, events[-1])
        with journal.transaction():
            if sequence == 1:
                journal.create(job, events[-1], request_id, None, PINNED)
            else:
                journal.append(job, events[-1:])
    return job, events


def jobs(journal: Journal) -> list[Job]:
    return journal.page(1000, None, (), None)[0][::-1]


def test_a_life_comes_back_as_it_was(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    job, events = lived(journal, "1", "request")
    journal.close()
    journal = Journal(tmp_path)
    assert journal.job("1") == job
    assert journal.requested(job, "request") == job
    assert journal.job("1").spec.resolved == SPEC.resolved
    assert journal.events("1", 0, 100) == events
    assert journal.events("1", 2, 2) == events[2:4]
    assert journal.live_jobs() == []
    journal.close()


def test_a_live_job_has_the_progress_that_its_row_does_not_say(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    job = Job("1", SPEC, 12.5)
    for sequence, body in enumerate(LIFE[:3], start=1):
        event = Event(sequence, 100.0, 1, body)
        job = after(job, event)
        if sequence == 1:
            journal.create(job, event, "", None, PINNED)
        else:
            journal.append(job, [event])
    assert job.progress
    assert journal.live_jobs() == [job]
    journal.close()


def test_an_upgrade_that_changes_a_recipe_changes_no_job(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    lived(journal, "1")
    other = replace(SPEC.resolved, style_weight=77.0, steps=4)
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as database, database:
        database.execute("UPDATE jobs SET spec = json_set(spec, '$.resolved.style_weight', 77.0)")
        database.execute("UPDATE jobs SET spec = json_set(spec, '$.resolved.steps', 4, '$.resolved.unheard_of', 1)")
    assert journal.job("1").spec.resolved == other
    assert journal.job("1").spec == SPEC, "the same was asked for"
    journal.close()


def test_a_journal_of_a_later_version_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(JournalError, match="written by a newer Impasto"):
        Journal(tmp_path)


def test_steerings_keep_their_order_and_learn_their_step(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.steer("1", Steering(style_weight=2.0)) == 1
    assert journal.steer("1", Steering(tv_weight=0.0)) == 2
    assert journal.steer("2", Steering()) == 1
    journal.steered("1", 1, 17)
    assert journal.steerings("1") == [
        StoredSteering(1, Steering(style_weight=2.0), 17),
        StoredSteering(2, Steering(tv_weight=0.0), None),
    ]
    journal.close()


def test_a_deleted_job_leaves_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    lived(journal, "1")
    journal.steer("1", Steering())
    journal.keep_checkpoint("1", StoredCheckpoint(3, "k" * 64, 9))
    assert journal.known(["r" * 64, "k" * 64]) == {"r" * 64, "k" * 64}
    journal.delete("1")
    assert (journal.events("1", 0, 9), journal.steerings("1"), journal.checkpoint("1")) == ([], [], None)
    with pytest.raises(JobNotFound):
        journal.job("1")
    with pytest.raises(JobNotFound):
        journal.delete("1")
    assert sorted(journal.drop_unreferenced((), 10)) == ["k" * 64, "r" * 64]
    assert journal.used_bytes() == 0
    journal.close()


def test_one_owner_has_a_request_once_and_two_owners_may_share_its_name(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    event = Event(1, 0.0, 0, StateChanged(State.QUEUED))
    ann, bob = after(Job("1", SPEC, 0.0, "ann"), event), after(Job("2", SPEC, 0.0, "bob"), event)
    assert journal.create(ann, event, "r", None, PINNED) is None
    assert journal.create(bob, event, "r", None, PINNED) is None
    assert journal.create(replace(ann, id="3"), event, "r", None, PINNED) == ann
    with pytest.raises(RequestIdReused):
        journal.create(replace(ann, id="3", spec=replace(SPEC, device=None)), event, "r", None, PINNED)
    assert [job.id for job in jobs(journal)] == ["1", "2"]
    journal.close()


def test_a_job_without_its_images_is_not_made(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    event = Event(1, 0.0, 0, StateChanged(State.QUEUED))
    job = after(Job("1", SPEC, 0.0), event)
    with pytest.raises(ImageNotFound, match="content image"):
        journal.create(job, event, "", None, ["s" * 64, "t" * 64])
    with pytest.raises(ImageNotFound, match="style image") as caught:
        journal.create(job, event, "", None, ["c" * 64, "s" * 64])
    assert caught.value.field == "spec.styles[1].image"
    with pytest.raises(JobNotFound):
        journal.create(job, event, "", "k" * 64, PINNED)
    assert jobs(journal) == []
    journal.close()


def test_pages_go_on_behind_a_job_that_is_gone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    event = Event(1, 0.0, 0, StateChanged(State.QUEUED))
    for number in range(9):
        job = after(Job(str(number), SPEC, 0.0, "ann" if number % 2 else "bob"), event)
        journal.create(job, event, "", None, PINNED)
    page, more = journal.page(4, None, (), None)
    assert [job.id for job in page] == ["8", "7", "6", "5"]
    journal.delete("5")
    journal.delete("4")
    page, more = journal.page(4, more, (), None)
    assert [job.id for job in page] == ["3", "2", "1", "0"]
    assert more is None
    assert [job.id for job in journal.page(4, None, ("queued",), "ann")[0]] == ["7", "3", "1"]
    assert journal.page(4, None, ("failed", "succeeded"), None) == ([], None)
    journal.close()


def test_expiry_goes_in_portions(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(7):
        lived(journal, str(number))
    assert [journal.expire(time.time(), 3) for _ in range(4)] == [3, 3, 1, 0]
    assert jobs(journal) == []
    journal.close()


def test_a_state_folder_belongs_to_one_server(tmp_path: Path) -> None:
    held = lock(tmp_path)
    with pytest.raises(JournalError, match="Another server uses"):
        lock(tmp_path)
    held.close()
    lock(tmp_path).close()


def test_a_file_that_is_no_journal_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").write_bytes(
        b"this is not a database, but it is long enough to be taken for one" * 100
    )
    with pytest.raises(JournalError, match="Move it away"):
        Journal(tmp_path)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_power_cut_loses_nothing_that_was_vouched_for(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Every commit is synced: the log may be torn in what was written after the last one only."""
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("power")
    path, log = folder / "journal.sqlite3", folder / "journal.sqlite3-wal"
    journal = Journal(folder)
    sizes = [log.stat().st_size]
    for number in range(chance.randint(1, 12)):
        lived(journal, str(number))
        sizes.append(log.stat().st_size)
    vouched = chance.randrange(len(sizes))
    after_cut = folder / "after"
    after_cut.mkdir()
    for file in (path, log):
        shutil.copy(file, after_cut / file.name)
    data = log.read_bytes()
    kept = chance.randint(sizes[vouched], len(data))
    torn = bytearray(data[:kept])
    for _ in range(chance.randint(0, 3)):
        if kept > sizes[vouched]:
            torn[chance.randrange(sizes[vouched], kept)] ^= 0xFF
    (after_cut / log.name).write_bytes(torn)
    journal.close()

    survivor = Journal(after_cut)
    found = jobs(survivor)
    assert [job.id for job in found[:vouched]] == [str(number) for number in range(vouched)]
    for job in found:
        events = survivor.events(job.id, 0, 100)
        assert [event.sequence for event in events] == list(range(1, job.last_sequence + 1))
    survivor.close()


def test_a_job_that_has_run_for_hours_is_read_without_reading_every_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(Journal(tmp_path)) as journal:
        job = Job("long", SPEC, 12.5, "ann")
        steps = (replace(LIFE[2], step=number) for number in range(1, 1001))  # type: ignore[type-var]
        with journal.transaction():
            for sequence, body in enumerate((*LIFE[:2], *steps), start=1):
                event = Event(sequence, 100.0 + sequence, 1, body)  # type: ignore[arg-type]
                job = after(job, event)
                if sequence == 1:
                    journal.create(job, event, "", None, PINNED)
                else:
                    journal.append(job, [event])
        decoded, decode = [], codecs.decode_body
        monkeypatch.setattr(codecs, "decode_body", lambda kind, text: decoded.append(kind) or decode(kind, text))
        assert jobs(journal) == [job]
        assert len(decoded) < 10
