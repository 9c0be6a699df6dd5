"""What watching and checkpoints cost the optimiser, and how soon there is something to see."""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from skimage import data

import impasto
from bench.report import Row, at_most
from tests.server_process import ServerProcess

PAIRS = 5
JOB = {"recipe": "classic", "height_px": 200, "width_px": 300, "steps": 14}


def measure() -> Sequence[Row]:
    """Previews, then checkpoints."""
    return [*previews(), checkpoints()]


def checkpoints() -> Row:
    """Interleaved pairs on two warm servers: one takes a checkpoint every half second, ten times as often as by
    default, the other only at a job's ends.
    """
    threads = str(os.cpu_count())
    with (
        tempfile.TemporaryDirectory() as scratch,
        ServerProcess(Path(scratch) / "often", "--checkpoint-s", "0.5", OMP_NUM_THREADS=threads) as often,
        ServerProcess(Path(scratch) / "never", "--checkpoint-s", "100000", OMP_NUM_THREADS=threads) as never,
    ):
        costs = []
        for pair in range(PAIRS + 1):
            rates = []
            for server in (often, never):
                with impasto.Client(server.address) as client:
                    job = client.submit(data.coffee(), "night-swirl", **JOB)
                    while not job.refresh().state.ended:
                        time.sleep(0.5)
                    rates.append(steps_per_second(job))
            if pair:  # the first one warms
                costs.append(1 - rates[0] / rates[1])
    spread = f"pairs from {min(costs):+.1%} to {max(costs):+.1%}"
    return at_most("cost of a checkpoint every 0.5 s", 100 * statistics.median(costs), 2, "%", spread)


def previews() -> Sequence[Row]:
    """Interleaved pairs of a watched and an unwatched job on one warm server."""
    with tempfile.TemporaryDirectory() as scratch:
        threads = str(os.cpu_count())
        with ServerProcess(Path(scratch), OMP_NUM_THREADS=threads) as server, impasto.Client(server.address) as client:
            content = client.upload(data.coffee())
            client.submit(content, "night-swirl", **JOB).result()  # warm
            watched, alone, first = [], [], []
            for _ in range(PAIRS):
                job = client.submit(content, "night-swirl", **JOB)
                first.append(first_preview_steps(job))
                watched.append(steps_per_second(job))
                job = client.submit(content, "night-swirl", **JOB)
                while not job.refresh().state.ended:
                    time.sleep(1)
                alone.append(steps_per_second(job))
    ratios = [1 - with_watcher / without for with_watcher, without in zip(watched, alone, strict=True)]
    spread = f"pairs from {min(ratios):+.1%} to {max(ratios):+.1%}"
    return [
        at_most("first preview after the first step's start", statistics.median(first), 1.5, "steps"),
        at_most("cost of a watcher at the default rate", 100 * statistics.median(ratios), 3, "%", spread),
        Row("optimiser, 300 × 200, classic", statistics.median(alone), "steps/s"),
    ]


def first_preview_steps(job: impasto.Job) -> float:
    """When the first preview arrived, in steps from the first step's start; follows the job to its end."""
    arrived, made = 0.0, []
    for event in job.watch():
        if isinstance(event, impasto.Preview) and not arrived:
            arrived = time.time()
        elif isinstance(event, impasto.Progress):
            made.append(event.time.timestamp())
    step_s = statistics.median(later - earlier for earlier, later in itertools.pairwise(made))
    return 1 + (arrived - made[0]) / step_s


def steps_per_second(job: impasto.Job) -> float:
    """From the journal's own times, first progress to last."""
    found = [event for event in job.watch(previews=None) if isinstance(event, impasto.Progress)]
    seconds = (found[-1].time - found[0].time).total_seconds()
    return (found[-1].step - found[0].step) / seconds
