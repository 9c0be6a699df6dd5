"""What watching and checkpoints cost the optimiser, how soon there is something to see, and when a painting is
done.

Over the whole path: client, gRPC, server process, worker process. Costs come from pairs of jobs that take turns,
one with and one without, by the journal's own times from first to last progress; a cost is the median of its pairs,
whose spread is beside it. A share of 2 % means that the optimiser makes 2 % fewer steps a second. Checkpoints are
taken every half second here, ten times as often as by default, to be seen at all; a tenth of what they cost is held
to the default's goal.

Noise: other processes on the same cores. Pairs that differ by more than their median say that it wasn't quiet.
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import skimage.data
import torch

import impasto
from bench.report import Found, Row, at_most
from tests.server_process import ServerProcess

OFTEN_S, DEFAULT_S = 0.5, 5.0
STYLE = "night-swirl"
PHOTO: np.ndarray = skimage.data.coffee()  # type: ignore[no-untyped-call]
STEPS = {"cuda": 1500}
"""On a CPU fewer steps last as long."""


def measure(
    *,
    device: torch.device,
    pairs: int = 5,
    height_px: int = 200,
    width_px: int = 300,
    steps: int | None = None,
    painting_px: int = 512,
    painting_steps: int | None = None,
    first_looks: int = 5,
    threads: int | None = None,
) -> Iterator[Found]:
    """Previews, a whole painting, then checkpoints."""
    job: impasto.JobOptions = {
        "recipe": "classic",
        "height_px": height_px,
        "width_px": width_px,
        "steps": steps or STEPS.get(device.type, 14),
    }
    with (
        tempfile.TemporaryDirectory() as scratch,
        server(Path(scratch), device, threads) as process,
        impasto.Client(process.address) as client,
    ):
        yield from previews(client, job, pairs)
        yield from painting(client, painting_px, painting_steps, first_looks, device)
    yield from checkpoints(job, pairs, device, threads)


def previews(client: impasto.Client, job: impasto.JobOptions, pairs: int) -> Sequence[Row]:
    """Interleaved pairs of a watched and an unwatched job on one warm server."""
    content = client.upload(PHOTO)
    client.submit(content, STYLE, **job).result()  # warm
    watched, alone, first = [], [], []
    for _ in range(pairs):
        made = client.submit(content, STYLE, **job)
        first.append(first_preview_steps(made))
        watched.append(steps_per_second(made))
        alone.append(unwatched(client, content, job))
    ratios = [1 - with_watcher / without for with_watcher, without in zip(watched, alone, strict=True)]
    size = f"{job['width_px']} × {job['height_px']}"
    return [
        at_most("first preview after the first step's start", statistics.median(first), 1.5, "steps"),
        at_most("cost of a watcher at the default rate", 100 * statistics.median(ratios), 3, "%", _spread(ratios)),
        Row(f"optimiser, {size}, classic", statistics.median(alone), "steps/s"),
    ]


def painting(
    client: impasto.Client, size_px: int, steps: int | None, first_looks: int, device: torch.device
) -> Iterator[Row]:
    """The default recipe on a warm server, as a user sees it: from submitting a picture that the server hasn't got."""
    options: impasto.JobOptions = {"recipe": "painterly", "size_px": size_px}
    if steps is not None:
        options["steps"] = steps
    first_goal, whole_goal = (0.1, 3.0) if device.type == "cuda" else (1.0, 90.0)
    client.submit(PHOTO, STYLE, **options).result()  # warm, at every size it goes through
    looks = []
    for number in range(first_looks):
        began = time.perf_counter()
        job = client.submit(_unseen(number), STYLE, **options)
        next(event for event in job.watch() if isinstance(event, impasto.Preview))
        looks.append(time.perf_counter() - began)
        job.cancel()
        while not job.refresh().state.ended:
            time.sleep(0.05)
    began = time.perf_counter()
    job = client.submit(_unseen(first_looks), STYLE, **options)
    seen = [event for event in job.watch() if isinstance(event, impasto.Preview)]
    job.result()
    whole = time.perf_counter() - began
    spread = f"{min(looks):.2f} to {max(looks):.2f} s; upload included"
    yield at_most(f"painterly, {size_px} px: first preview", statistics.median(looks), first_goal, "s", spread)
    yield at_most(f"painterly, {size_px} px: start to finish", whole, whole_goal, "s", f"{len(seen)} previews")
    sizes = [len(event.data) for event in seen]
    widest = f"{seen[-1].format}, largest {max(sizes) / 1000:.1f} kB at {seen[-1].width_px} × {seen[-1].height_px} px"
    yield Row("  bytes of a preview", statistics.mean(sizes) / 1000, "kB", note=widest)


def checkpoints(job: impasto.JobOptions, pairs: int, device: torch.device, threads: int | None) -> Sequence[Row]:
    """Interleaved pairs on two warm servers: one takes a checkpoint every half second, the other at a job's ends."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        server(Path(scratch) / "often", device, threads, "--checkpoint-s", str(OFTEN_S)) as often,
        server(Path(scratch) / "never", device, threads, "--checkpoint-s", "100000") as never,
        impasto.Client(often.address) as often_client,
        impasto.Client(never.address) as never_client,
    ):
        costs = []
        for pair in range(pairs + 1):
            with_them, without = (unwatched(client, PHOTO, job) for client in (often_client, never_client))
            if pair:  # the first one warms
                costs.append(1 - with_them / without)
    cost = 100 * statistics.median(costs)
    tenth = f"a tenth of the cost at {OFTEN_S} s, measured there"
    return [
        Row(f"cost of a checkpoint every {OFTEN_S} s", cost, "%", note=_spread(costs)),
        at_most(f"cost of a checkpoint every {DEFAULT_S:g} s, the default", cost * OFTEN_S / DEFAULT_S, 2, "%", tenth),
    ]


def server(folder: Path, device: torch.device, threads: int | None, *options: str) -> ServerProcess:
    """One for this device that uses every core, as it does for a user, or so many threads."""
    return ServerProcess(folder, "--device", str(device), *options, OMP_NUM_THREADS=str(threads or os.cpu_count()))


def unwatched(client: impasto.Client, content: impasto.StoredImage | np.ndarray, options: impasto.JobOptions) -> float:
    """Steps a second of a job that nobody looks at before its end."""
    job = client.submit(content, STYLE, **options)
    while not job.refresh().state.ended:
        time.sleep(0.5)
    return steps_per_second(job)


def first_preview_steps(job: impasto.Job) -> float:
    """When the first preview arrived, in steps from the first step's start; follows the job to its end."""
    arrived, made = 0.0, list[impasto.Progress]()
    for event in job.watch():
        if isinstance(event, impasto.Preview) and not arrived:
            arrived = time.time()
        elif isinstance(event, impasto.Progress):
            made.append(event)
    # One who follows live is told of most steps, not of all.
    step_s = statistics.median(
        (later.time - earlier.time).total_seconds() / (later.step - earlier.step)
        for earlier, later in itertools.pairwise(made)
    )
    return 1 + (arrived - made[0].time.timestamp()) / step_s


def steps_per_second(job: impasto.Job) -> float:
    """From the journal's own times, first progress to last: both are journaled, whatever comes in between."""
    found = [event for event in job.watch(previews=None) if isinstance(event, impasto.Progress)]
    seconds = (found[-1].time - found[0].time).total_seconds()
    return (found[-1].step - found[0].step) / seconds


def _unseen(number: int) -> np.ndarray:
    """The photo with one pixel changed, so that it has to be uploaded."""
    pixels = PHOTO.copy()
    pixels[0, 0] = number
    return pixels


def _spread(ratios: Sequence[float]) -> str:
    return f"pairs from {min(ratios):+.1%} to {max(ratios):+.1%}"
