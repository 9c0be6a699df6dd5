"""What is promised when things die, measured: kills, cuts, stalled readers, long queues, clients that crash.

Every function takes its counts, so that `make bench-faults` runs it in full and the tests a little of it. Each returns
rows; the promises themselves (nothing lost, nothing twice, the same bytes) are rows with the goal 0.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
from skimage import data

import impasto
from bench.crowd import Crowd
from bench.report import Row, at_most
from impasto.v1 import job_pb2, stylizer_pb2
from tests import wire
from tests.proxy import Proxy
from tests.server_process import ServerProcess

JOB: dict[str, Any] = {"recipe": "draft", "size_px": 96, "steps": 40, "seed": 1}
LONG: dict[str, Any] = {"recipe": "draft", "size_px": 128, "steps": 5000}


@contextlib.contextmanager
def fresh_folder() -> Iterator[Path]:
    """A state folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="impasto-faults-") as scratch:
        yield Path(scratch)


def photo() -> bytes:
    """A real photo as PNG (scikit-image, CC0)."""
    return wire.png(data.coffee()[::4, ::4])  # type: ignore[no-untyped-call]


def reference() -> str:
    """Name of the picture that JOB gives when nothing happens."""
    with fresh_folder() as folder, ServerProcess(folder) as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo()), **JOB)
        list(wire.watch(server.stub, job.name))
        return wire.get_job(server.stub, job.name).result.image.name


def server_kills(jobs: int = 20, kills: int = 100, seed: int = 1) -> Sequence[Row]:
    """SIGKILL of the server at random moments while jobs are asked for and painted."""
    chance = random.Random(seed)
    expected = reference()
    asked = [str(uuid.uuid4()) for _ in range(jobs)]
    acknowledged: dict[str, str] = {}  # request id → job name
    with fresh_folder() as folder:
        for kill in range(kills + 1):
            last = kill == kills
            due = asked[: jobs * (kill + 1) // kills] if not last else asked
            with ServerProcess(folder, "--checkpoint-s", "0.2") as server:
                killer = threading.Timer(chance.uniform(0.05, 5.0), server.process.kill)
                if not last:
                    killer.start()
                with contextlib.suppress(grpc.RpcError):
                    content = wire.upload(server.stub, photo())
                    for request_id in due:
                        name = wire.create_job(server.stub, content, request_id=request_id, **JOB).name
                        assert acknowledged.setdefault(request_id, name) == name, "a second job for one request"
                    for name in acknowledged.values():
                        list(wire.watch(server.stub, name, timeout_s=1200))
                if not last:
                    killer.join()
                else:
                    made = list(server.stub.ListJobs(stylizer_pb2.ListJobsRequest(page_size=1000)).jobs)
    lost = set(acknowledged.values()) - {job.name for job in made}
    other = [job for job in made if job.result.image.name != expected]
    attempts = sum(job.attempt for job in made)
    return [
        at_most(f"server killed {kills} times, {jobs} jobs: lost", len(lost), 0, "jobs"),
        at_most("  made twice", len(made) - jobs, 0, "jobs"),
        at_most("  with other bytes", len(other), 0, "jobs", f"{attempts} attempts"),
    ]


def worker_kills(kills: int = 50, seed: int = 2) -> Sequence[Row]:
    """SIGKILL of the worker at random moments, each after some progress: one that always dies at once is hopeless."""
    chance = random.Random(seed)
    done, other, lost = 0, 0, 0
    expected = reference()
    with fresh_folder() as folder, ServerProcess(folder, "--checkpoint-s", "0.1") as server:
        content = wire.upload(server.stub, photo())
        while done < kills:
            name = wire.create_job(server.stub, content, **JOB).name
            seen = steps = 0
            patience = chance.randint(3, 9)
            for event in wire.watch(server.stub, name, timeout_s=1200):
                steps = steps + 1 if event.HasField("progress") and event.attempt > seen else steps
                if steps >= patience and done < kills:
                    with contextlib.suppress(ProcessLookupError, IndexError):
                        os.kill(server.worker_process_ids()[0], signal.SIGKILL)
                        done += 1
                    seen, steps, patience = event.attempt, 0, chance.randint(3, 9)
            ended = wire.get_job(server.stub, name)
            lost += ended.state != job_pb2.Job.STATE_SUCCEEDED
            other += ended.result.image.name != expected
    return [
        at_most(f"worker killed {kills} times: jobs lost", lost, 0, "jobs"),
        at_most("  with other bytes", other, 0, "jobs"),
    ]


def cable_cuts(cuts: int = 200, seed: int = 3) -> Sequence[Row]:
    """Connections reset at random while a client watches: its sequences have no gap and no repeat."""
    chance = random.Random(seed)
    gaps = repeats = reconnects = made = 0

    def pull(proxy: Proxy, ended: threading.Event) -> None:
        nonlocal made
        while made < cuts and not ended.wait(chance.uniform(0.02, 0.4)):
            made += proxy.cut() > 0

    with (
        fresh_folder() as folder,
        ServerProcess(folder) as server,
        Proxy(server.address) as proxy,
        impasto.Client(proxy.address) as client,
    ):
        content = client.upload(photo())
        while made < cuts:
            job = client.submit(content, "night-swirl", recipe="draft", size_px=96, steps=120)
            ended = threading.Event()
            puller = threading.Thread(target=pull, args=(proxy, ended))
            puller.start()
            sequences = []
            for event in job:
                reconnects += isinstance(event, impasto.Reconnecting)
                if event.sequence:
                    sequences.append(event.sequence)
            ended.set()
            puller.join()
            gaps += len(set(range(1, max(sequences) + 1)) - set(sequences))
            repeats += len(sequences) - len(set(sequences)) + (sequences != sorted(sequences))
    return [
        at_most(f"cable cut {cuts} times: gaps", gaps, 0, "events", f"{reconnects} reconnects"),
        at_most("  repeats", repeats, 0, "events"),
    ]


def many_watchers(
    watchers: int = 200, stalled: int = 10, steps: int = 60, pairs: int = 3, threads: int | None = None
) -> Sequence[Row]:
    """What a crowd costs the optimiser, and the front door's memory. The crowd's own work is not the server's."""
    with (
        fresh_folder() as folder,
        ServerProcess(folder, OMP_NUM_THREADS=str(threads or os.cpu_count())) as server,
        Crowd(server.address) as crowd,
    ):
        content = wire.upload(server.stub, photo())

        def rate(watchers: int, stalled: int) -> float:
            name = wire.create_job(server.stub, content, recipe="classic", size_px=256, steps=steps).name
            crowd.watch(name, watchers, stalled)
            return steps_per_second(server, name)

        rate(1, 0)  # warm
        ratios, memory = [], []
        for _ in range(pairs):
            alone = rate(1, 0)
            ratios.append(1 - rate(watchers, stalled) / alone)
            memory.append(resident_bytes(server.process.pid))
    cost = 100 * statistics.median(ratios)
    spread = f"pairs from {min(ratios):+.1%} to {max(ratios):+.1%}"
    return [
        at_most(f"{watchers} watchers, {stalled} stalled: cost to the optimiser", cost, 3, "%", spread),
        Row("  front door's memory, last crowd against first", (memory[-1] - memory[0]) / 1e6, "MB"),
    ]


def steps_per_second(server: ServerProcess, name: str) -> float:
    """The optimiser's, by the journal's times, of a job that has ended."""
    made = [event for event in wire.watch(server.stub, name) if event.HasField("progress")]
    seconds = (made[-1].time.ToMicroseconds() - made[0].time.ToMicroseconds()) / 1e6
    return (made[-1].progress.step - made[0].progress.step) / seconds


def long_queue(jobs: int = 1000) -> Sequence[Row]:
    """Submitting while many wait, and starting again with all of them."""
    options = ("--max-queued", str(jobs + 1))
    with fresh_folder() as folder:
        with ServerProcess(folder, *options) as server:
            content = wire.upload(server.stub, photo())
            blocker = wire.create_job(server.stub, content, **LONG)
            next(event for event in wire.watch(server.stub, blocker.name) if event.HasField("progress"))
            times = []
            for _ in range(jobs):
                began = time.perf_counter()
                wire.create_job(server.stub, content)
                times.append(time.perf_counter() - began)
            server.process.kill()
        began = time.perf_counter()
        with ServerProcess(folder, *options) as server:
            info = server.stub.GetServerInfo(stylizer_pb2.GetServerInfoRequest()).server
            up = time.perf_counter() - began
            kept = info.queued_jobs + info.running_jobs
    p99 = 1000 * sorted(times)[max(0, int(len(times) * 0.99) - 1)]
    median = f"median {1000 * statistics.median(times):.1f} ms"
    return [
        at_most(f"{jobs} jobs queued: submit, 99th percentile", p99, 50, "ms", median),
        at_most("  restart to serving", up, 2, "s"),
        at_most("  lost in the restart", jobs + 1 - kept, 0, "jobs"),
    ]


_CRASHING_CLIENT = """
import os, sys, impasto
client = impasto.Client(sys.argv[1])
job = client.submit(sys.argv[2], "mist-ink", recipe="draft", size_px=32, steps=2)
for event in job.watch():
    if sys.argv[3] == "early" or isinstance(event, impasto.Progress):
        os._exit(9)
"""


def soak(jobs: int = 500) -> Sequence[Row]:
    """Small jobs whose clients crash: memory, descriptors, threads and files go back to where they were."""
    with fresh_folder() as folder, ServerProcess(folder / "state", "--max-queued", "10000") as server:
        picture = folder / "photo.png"
        picture.write_bytes(photo())

        def batch(count: int) -> None:
            crashing = max(1, count // 20)
            for number in range(crashing):
                early = "early" if number % 2 else "late"
                command = [sys.executable, "-c", _CRASHING_CLIENT, server.address, str(picture), early]
                subprocess.run(command, check=False)
            content = wire.upload(server.stub, picture.read_bytes())
            asked = range(count - crashing)
            names = [wire.create_job(server.stub, content, size_px=32, steps=2).name for _ in asked]
            for name in names:
                list(wire.watch(server.stub, name, timeout_s=1200))
            while left := server.stub.ListJobs(stylizer_pb2.ListJobsRequest(page_size=1000)).jobs:
                for job in left:
                    if job.HasField("end_time"):
                        server.stub.DeleteJob(stylizer_pb2.DeleteJobRequest(name=job.name))

        batch(min(jobs, 40))  # what is allocated once is allocated now
        before = usage(server)
        batch(jobs)
        after = settled(server, before)
    return [
        Row(f"{jobs} jobs, clients crashing: memory grew by", (after["memory"] - before["memory"]) / 1e6, "MB"),
        at_most("  open files more than before", after["files"] - before["files"], 0, ""),
        at_most("  threads more than before", after["threads"] - before["threads"], 0, ""),
        at_most("  files left in the state folder", after["left"] - before["left"], 0, ""),
    ]


def settled(server: ServerProcess, before: dict[str, int]) -> dict[str, int]:
    """What the front door holds once connections that were just closed are gone; looks for ten seconds at most."""
    deadline = time.monotonic() + 10
    while True:
        after = usage(server)
        if time.monotonic() > deadline or all(after[name] <= before[name] for name in ("files", "threads", "left")):
            return after
        time.sleep(0.2)


def usage(server: ServerProcess) -> dict[str, int]:
    """What the front door holds now."""
    process = Path(f"/proc/{server.process.pid}")
    return {
        "memory": resident_bytes(server.process.pid),
        "files": len(list((process / "fd").iterdir())),
        "threads": len(list((process / "task").iterdir())),
        "left": sum(path.is_file() for path in server.state_dir.rglob("*")),
    }


def resident_bytes(process_id: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


Parts = Mapping[str, Callable[[], Sequence[Row]]]

EVERYTHING: Parts = {
    "queue": long_queue,
    "cuts": cable_cuts,
    "watchers": many_watchers,
    "worker kills": worker_kills,
    "server kills": server_kills,
    "soak": soak,
}
SMOKE: Parts = {
    "queue": lambda: long_queue(jobs=10),
    "watchers": lambda: many_watchers(watchers=6, stalled=1, steps=6, pairs=1, threads=1),
}
"""What no test runs anyway (tests/test_faults.py)."""


SETS: Mapping[str, Parts] = {"everything": EVERYTHING, "smoke": SMOKE}


def measure(*, parts: str = "everything") -> Iterator[Row]:
    """Part by part of one of the sets, half an hour on two cores for everything. A part's rows come when it is done."""
    for name, part in SETS[parts].items():
        began = time.monotonic()
        yield from part()
        yield Row(f"  ({name} took)", time.monotonic() - began, "s")
