"""A little of `make bench-faults`: the same code, smaller counts, every goal met."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from bench import faults
from bench.report import Row


@pytest.mark.parametrize(
    "part",
    [
        lambda: faults.server_kills(jobs=2, kills=3),
        lambda: faults.worker_kills(kills=2),
        lambda: faults.cable_cuts(cuts=6),
        lambda: faults.soak(jobs=20),
    ],
    ids=["server kills", "worker kills", "cable cuts", "soak"],
)
def test_nothing_is_lost(part: Callable[[], Sequence[Row]]) -> None:
    assert [row for row in part() if row.met is False] == []


def test_a_hundred_jobs_can_wait_and_outlive_the_server() -> None:
    lost = next(row for row in faults.long_queue(jobs=100) if "lost" in row.what)
    assert lost.value == 0
