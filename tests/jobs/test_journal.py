"""The journal: everything comes back as it was, whatever moment the power went."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from impasto_server.engine import Losses, Noticed, Progressed, ResultFormat, Steering
from impasto_server.jobs import (
    Event,
    Job,
    JobError,
    JobSpec,
    Journal,
    JournalError,
    Result,
    State,
    StateChanged,
    StyleSource,
)
from impasto_server.jobs.journal import SCHEMA_VERSION, StoredSteering
from impasto_server.jobs.state import after

SPEC = JobSpec(
    content="c" * 64,
    styles=(StyleSource("s" * 64, "night-swirl", 0.3), StyleSource("t" * 64)),
    recipe="painterly",
    parameters={"size_px": 640, "style_layers": ("relu1_1", "conv4_2"), "tv_weight": 0.1, "weights": "original"},
    device="cuda:0",
    continue_from="a-job",
    result_format=ResultFormat("TIFF", 16),
)
LIFE = (
    StateChanged(State.QUEUED, queue_position=3),
    StateChanged(State.RUNNING, device="cuda:0"),
    Progressed(1, 2, 3, 9, 64, 96, Losses(0.1, 1e-30, 3e300, 6.0), 1.5, 8.25),
    Noticed("TILES_SMALLER", "Memory ran out at tiles of 1024 px; it goes on in tiles of 512 px."),
    Result("r" * 64, 9, partial=True),
    StateChanged(State.FAILED, error=JobError("OUT_OF_MEMORY", "try --size 88")),
)


def lived(journal: Journal, job_id: str, request_id: str = "") -> tuple[Job, list[Event]]:
    """A job with a whole life, journaled as it goes."""
    job = Job(job_id, SPEC, 12.5, "ann")
    events = []
    for sequence, body in enumerate(LIFE, start=1):
        events.append(Event(sequence, 100.0 + sequence, 1, body))
        job = after(job, events[-1])
        if sequence == 1:
            journal.add(job, events[-1], request_id)
        else:
            journal.append(job, events[-1])
    return job, events


def test_a_life_comes_back_as_it_was(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite3")
    job, events = lived(journal, "1", "request")
    journal.close()
    journal = Journal(tmp_path / "journal.sqlite3")
    assert list(journal.jobs()) == [(job, "request")]
    assert journal.events("1", 0, 100) == events
    assert journal.events("1", 2, 2) == events[2:4]
    journal.close()


def test_a_journal_of_before_results_had_a_format_still_opens(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    journal = Journal(path)
    job, events = lived(journal, "1")
    journal.close()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE jobs SET spec = json_remove(spec, '$.result_format')")
        database.execute("PRAGMA user_version = 1")
    journal = Journal(path)
    assert list(journal.jobs()) == [(replace(job, spec=replace(SPEC, result_format=ResultFormat("PNG", 8))), "")]
    assert journal.events("1", 0, 100) == events
    journal.close()


def test_a_journal_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    Journal(path).close()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(JournalError, match="written by a newer Impasto"):
        Journal(path)


def test_steerings_keep_their_order_and_learn_their_step(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite3")
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
    journal = Journal(tmp_path / "journal.sqlite3")
    lived(journal, "1")
    journal.steer("1", Steering())
    journal.delete("1")
    assert (list(journal.jobs()), journal.events("1", 0, 9), journal.steerings("1")) == ([], [], [])
    journal.close()


def test_one_owner_has_a_request_once_and_two_owners_may_share_its_name(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite3")
    event = Event(1, 0.0, 0, StateChanged(State.QUEUED))
    journal.add(Job("1", SPEC, 0.0, "ann"), event, "r")
    journal.add(Job("2", SPEC, 0.0, "bob"), event, "r")
    with pytest.raises(sqlite3.IntegrityError):
        journal.add(Job("3", SPEC, 0.0, "ann"), event, "r")
    assert [job.id for job, _ in journal.jobs()] == ["1", "2"]
    journal.close()


def test_a_state_folder_belongs_to_one_server(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite3")
    with pytest.raises(JournalError, match="Another server uses"):
        Journal(tmp_path / "journal.sqlite3")
    journal.close()
    Journal(tmp_path / "journal.sqlite3").close()


def test_a_file_that_is_no_journal_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    path.write_bytes(b"this is not a database, but it is long enough to be taken for one" * 100)
    with pytest.raises(JournalError, match="Move it away"):
        Journal(path)


async def test_many_who_wait_for_the_disk_share_its_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "journal.sqlite3")
    syncs = 0
    original = journal._sync

    def counted() -> None:
        nonlocal syncs
        syncs += 1
        original()

    monkeypatch.setattr(journal, "_sync", counted)
    await asyncio.gather(*(journal.durable() for _ in range(50)))
    assert 1 <= syncs <= 2
    journal.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="NOT TESTED HERE: which file is synced (needs /proc)")
async def test_vouching_for_a_write_syncs_the_log_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    journal = Journal(tmp_path / "journal.sqlite3")
    lived(journal, "1")
    monkeypatch.setattr(os, "fsync", noted)
    await journal.durable()
    assert synced == [str(tmp_path / "journal.sqlite3-wal")]
    journal.close()


async def test_a_sync_that_began_before_a_write_does_not_vouch_for_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite3")
    first = asyncio.create_task(journal.durable())
    await asyncio.sleep(0)
    second = asyncio.create_task(journal.durable())
    await first
    assert not second.done()
    await second
    journal.close()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_power_cut_loses_nothing_that_was_vouched_for(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """The log may lose any of what was written after the last sync, and what is left of that may be garbage."""
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("power")
    path, log = folder / "journal.sqlite3", folder / "journal.sqlite3-wal"

    async def live() -> tuple[list[str], int]:
        vouched: list[str] = []
        synced_bytes = 0
        for number in range(chance.randint(1, 12)):
            lived(journal, str(number))
            if chance.random() < 0.5:
                await journal.durable()
                vouched = [str(known) for known in range(number + 1)]
                synced_bytes = log.stat().st_size
        return vouched, synced_bytes

    journal = Journal(path)
    vouched, synced_bytes = asyncio.run(live())
    after_cut = folder / "after"
    after_cut.mkdir()
    for file in (path, log):
        shutil.copy(file, after_cut / file.name)
    data = log.read_bytes()
    kept = chance.randint(synced_bytes, len(data))
    torn = bytearray(data[:kept])
    for _ in range(chance.randint(0, 3)):
        if kept > synced_bytes:
            torn[chance.randrange(synced_bytes, kept)] ^= 0xFF
    (after_cut / log.name).write_bytes(torn)
    journal.close()

    survivor = Journal(after_cut / "journal.sqlite3")
    found = [job for job, _ in survivor.jobs()]
    assert [job.id for job in found[: len(vouched)]] == vouched
    for job in found:
        events = survivor.events(job.id, 0, 100)
        assert [event.sequence for event in events] == list(range(1, job.last_sequence + 1))
    survivor.close()
