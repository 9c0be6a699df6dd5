"""A little of `make bench-faults`: the same code, smaller counts, every goal met."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bench import faults, keeping
from bench.report import Row
from tests import wire
from tests.server_process import ServerProcess


@pytest.mark.parametrize(
    "part",
    [
        lambda: faults.server_kills(jobs=2, kills=3),
        lambda: faults.worker_kills(kills=2),
        lambda: faults.cable_cuts(cuts=6),
        lambda: faults.crossing_kills(jobs=3, kills=2, workers=2, longest_s=2),
        lambda: faults.soak(jobs=20),
    ],
    ids=["server kills", "worker kills", "cable cuts", "crossing kills", "soak"],
)
def test_nothing_is_lost(part: Callable[[], Sequence[Row]]) -> None:
    assert [row for row in part() if row.met is False] == []


def test_a_hundred_jobs_can_wait_and_outlive_the_server() -> None:
    lost = next(row for row in faults.long_queue(jobs=100) if "lost" in row.what)
    assert lost.value == 0


def test_an_ended_job_leaves_nothing_in_memory() -> None:
    (kept,) = keeping.kept_memory(jobs=200, together=20)
    assert kept.met, kept


def test_a_journal_with_ended_jobs_is_listed_from_its_start_and_deep_down() -> None:
    rows = keeping.ended_jobs(jobs=2000, asked=3)
    assert all(row.value > 0 for row in rows)


def test_no_disk_holds_up_the_loop_and_the_journal_stays_small() -> None:
    rows = keeping.journal_size(jobs=10, steps=40, together=5)
    assert [row for row in rows if row.met is False] == []


def test_disk_work_on_the_loop_is_noticed(tmp_path: Path) -> None:
    with keeping.disk_on_this_thread() as spent, (tmp_path / "file").open("wb") as file:
        os.fsync(file.fileno())
        after_sync = spent[0]
        sqlite3.connect(tmp_path / "database").execute("CREATE TABLE t (x)").connection.close()
    assert 0 < after_sync < spent[0]


def test_the_rate_of_a_job_that_has_ended_is_that_of_its_steps() -> None:
    seen = []
    with faults.fresh_folder() as folder, ServerProcess(folder) as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, faults.photo()), size_px=96, steps=20)
        for event in wire.watch(server.stub, job.name):
            if event.HasField("progress"):
                seen.append((event.progress.step, event.time.ToMicroseconds() / 1e6))
        rate = faults.steps_per_second(server, job.name)
    (first, began), (last, ended) = seen[0], seen[-1]
    assert rate == pytest.approx((last - first) / (ended - began), rel=0.05)
