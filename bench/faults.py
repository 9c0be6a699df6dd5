"""What is promised when things die, measured: kills, cuts, stalled readers, long queues, clients that crash.

Every function takes its counts, so that `make bench-faults` runs it in full and the tests a little of it. Each returns
rows; the promises themselves (nothing lost, nothing twice, the same bytes) are rows with the goal 0.
"""

from __future__ import annotations

import contextlib
import functools
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from skimage import data

import impasto
from bench import keeping
from bench.crowd import Crowd
from bench.report import Row, at_most
from impasto.v1 import job_pb2, stylizer_pb2
from tests import wire
from tests.proxy import Proxy
from tests.server_process import ServerProcess

JOB: dict[str, Any] = {"recipe": "draft", "size_px": 96, "steps": 40, "seed": 1}
LONGER: dict[str, Any] = JOB | {"steps": 120}
LONG: dict[str, Any] = {"recipe": "draft", "size_px": 128, "steps": 5000}


@contextlib.contextmanager
def fresh_folder() -> Iterator[Path]:
    """A state folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="impasto-faults-") as scratch:
        yield Path(scratch)


def photo() -> bytes:
    """A real photo as PNG (scikit-image, CC0)."""
    return wire.png(data.coffee()[::4, ::4])  # type: ignore[no-untyped-call]


def reference(asked: Mapping[str, Any] = JOB) -> str:
    """Name of the picture that a job gives when nothing happens."""
    with fresh_folder() as folder, ServerProcess(folder) as server:
        job = wire.create_job(server.stub, wire.upload(server.stub, photo()), **asked)
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


def crossing_kills(
    jobs: int = 100, kills: int = 100, workers: int = 4, longest_s: float = 4, seed: int = 4
) -> Sequence[Row]:
    """SIGKILL of the server at random moments while several workers paint and half of the jobs are being cancelled."""
    chance = random.Random(seed)
    expected = reference(LONGER)
    asked = [str(uuid.uuid4()) for _ in range(jobs)]
    unwanted = set(chance.sample(asked, jobs // 2))
    acknowledged: dict[str, str] = {}  # request id → job name
    cancelled: set[str] = set()  # names of jobs whose cancel was answered
    devices = ("--device", "cpu") * workers

    def ask(server: ServerProcess, due: Sequence[str]) -> None:
        content = wire.upload(server.stub, photo())
        for request_id in due:
            name = wire.create_job(server.stub, content, request_id=request_id, **LONGER).name
            assert acknowledged.setdefault(request_id, name) == name, "a second job for one request"

    def cancel(server: ServerProcess, request_id: str) -> None:
        with contextlib.suppress(grpc.RpcError, KeyError):  # dead meanwhile, or not yet asked for: the next life's
            name = acknowledged[request_id]
            wire.cancel(server.stub, name)
            cancelled.add(name)

    with fresh_folder() as folder:
        for kill in range(kills):
            due = asked[: jobs * (kill + 1) // kills + workers]
            with ServerProcess(folder, "--checkpoint-s", "0.2", *devices) as server:
                early = chance.random() < 0.25  # while its workers start
                if not early:
                    ask(server, due)
                painted = set() if early else first_painted(server)
                life_s = chance.uniform(0.05, longest_s)
                threads = [threading.Timer(life_s, server.process.kill)]
                # Around the kill, so that some are decided and not journaled, and some journaled and not answered.
                left = [one for one in due if one in unwanted and acknowledged.get(one) not in cancelled]
                left.sort(key=lambda one, painted=painted: acknowledged.get(one) not in painted)
                for request_id in left[: max(1, jobs // kills)]:
                    at = life_s - chance.choice((chance.uniform(0, 0.02), chance.uniform(0, life_s)))
                    threads.append(threading.Timer(at, cancel, (server, request_id)))
                for thread in threads:
                    thread.start()
                with contextlib.suppress(grpc.RpcError):
                    ask(server, due)
                for thread in threads:
                    thread.join()
        with ServerProcess(folder, "--checkpoint-s", "0.2", *devices) as server:
            ask(server, asked)
            for request_id in unwanted:
                cancel(server, request_id)
            stuck = 0
            for name in acknowledged.values():
                try:
                    list(wire.watch(server.stub, name, timeout_s=1200))
                except grpc.RpcError:
                    stuck += 1
            made = list(server.stub.ListJobs(stylizer_pb2.ListJobsRequest(page_size=1000)).jobs)
    lost = set(acknowledged.values()) - {job.name for job in made}
    whole = [job for job in made if job.state == job_pb2.Job.STATE_SUCCEEDED and not job.result.partial]
    other = [job for job in whole if job.result.image.name != expected]
    unasked = [job for job in made if job not in whole and job.name not in cancelled]
    attempts = sum(job.attempt for job in made)
    parts = sum(job.result.partial for job in made)
    name = f"server killed {kills} times, {workers} workers, {jobs} jobs, half of them cancelled"
    return [
        at_most(f"{name}: lost", len(lost), 0, "jobs", f"{attempts} attempts"),
        at_most("  made twice", len(made) - jobs, 0, "jobs"),
        at_most("  stuck", stuck, 0, "jobs"),
        at_most("  not whole though nobody cancelled them", len(unasked), 0, "jobs"),
        at_most("  whole with other bytes", len(other), 0, "jobs", f"{len(whole)} whole, {parts} in part"),
    ]


def first_painted(server: ServerProcess) -> set[str]:
    """Waits until jobs are painted, a minute at most; their names."""
    deadline = time.monotonic() + 60
    request = stylizer_pb2.ListJobsRequest(states=[job_pb2.Job.STATE_RUNNING])
    while not (found := server.stub.ListJobs(request).jobs) and time.monotonic() < deadline:
        time.sleep(0.1)
    return {job.name for job in found}


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
    gaps = repeats = reconnects = events = made = 0

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
            events += len(sequences)
            repeats += len(sequences) - len(set(sequences)) + (sequences != sorted(sequences))
    return [
        at_most(f"cable cut {cuts} times: gaps", gaps, 0, "events", f"{reconnects} reconnects, {events} events"),
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
    """The optimiser's, of a job that has ended: from its first progress to its last, both always journaled."""
    made = [event for event in wire.watch(server.stub, name) if event.HasField("progress")]
    if len(made) < 2:
        raise ValueError(f"{name} has {len(made)} progress in the journal: give it more steps.")
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


def state_machine(seconds: float = 600) -> Sequence[Row]:
    """The jobs' rooms under random users, workers, disks, clocks and kills. A violation ends it and is printed."""
    command = [sys.executable, "-m", "pytest", "-q", "-s", "tests/jobs/test_state_machine.py"]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "IMPASTO_STATE_MACHINE_S": str(seconds)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
    if done.returncode > 1:
        raise RuntimeError("The state machine didn't run: pytest's output is above.")
    lives = next((line.strip(".") for line in done.stdout.splitlines() if "lives from seed" in line), "")
    return [at_most(f"state machine, {seconds:g} s: violations", done.returncode, 0, "", lives)]


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

        # What is allocated once is allocated now: the pool of threads for the disk too.
        with ThreadPoolExecutor(32) as many:
            list(many.map(lambda _: wire.upload(server.stub, photo()), range(64)))
        batch(min(jobs, 40))
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
    "crossing kills": crossing_kills,
    "soak": soak,
    "kept memory": keeping.kept_memory,
    "ended jobs": keeping.ended_jobs,
    "journal": keeping.journal_size,
    "slow journal": functools.partial(keeping.journal_size, jobs=100, steps_per_second=1.0),
    "state machine": state_machine,
}
SMOKE: Parts = {
    "queue": lambda: long_queue(jobs=10),
    "watchers": lambda: many_watchers(watchers=6, stalled=1, steps=6, pairs=1, threads=1),
}
"""What no test runs anyway (tests/test_faults.py)."""


SETS: Mapping[str, Parts] = {"everything": EVERYTHING, "smoke": SMOKE}


def measure(*, parts: str = "everything") -> Iterator[Row]:
    """Part by part of one of the sets, an hour on two cores, or more, for all. A part's rows come when it is done."""
    for name, part in SETS[parts].items():
        began = time.monotonic()
        yield from part()
        yield Row(f"  ({name} took)", time.monotonic() - began, "s")
