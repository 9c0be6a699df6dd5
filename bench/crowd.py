"""A crowd of watchers in a process of its own: `python -m bench.crowd ADDRESS`, then a line `JOB WATCHERS STALLED`
each.

It runs at the lowest priority, as the crowd's readers stand for other machines: what they cost must not be counted
as the server's cost. Answers `ready`, and after each job how many events the crowd has seen.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Self

import grpc

from impasto.v1 import image_pb2, stylizer_pb2, stylizer_pb2_grpc

NICENESS = 19
PREVIEW_PX = 256


class Crowd:
    """Starts the process and speaks with it; a context manager that ends it."""

    def __init__(self, address: str) -> None:
        command = [sys.executable, "-m", "bench.crowd", address]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def watch(self, job: str, watchers: int, stalled: int) -> int:
        """Returns when the job has ended for all who read on; the stalled ones read one event and never again."""
        assert self._process.stdin
        self._process.stdin.write(f"{job} {watchers} {stalled}\n")
        self._process.stdin.flush()
        return int(self._answer())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()  # the crowd goes home
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _answer(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError("The crowd's process has ended before its time; its error output says why.")
        return line


async def main() -> None:
    """Job after job, until there is no more input."""
    os.nice(NICENESS)
    async with grpc.aio.insecure_channel(sys.argv[1]) as channel:
        stub = stylizer_pb2_grpc.StylizerStub(channel)
        await channel.channel_ready()
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            job, watchers, stalled = line.split()
            print(await _watched(stub, job, int(watchers), int(stalled)), flush=True)


async def _watched(stub: stylizer_pb2_grpc.StylizerAsyncStub, job: str, watchers: int, stalled: int) -> int:
    previews = image_pb2.PreviewOptions(max_size_px=PREVIEW_PX)
    request = stylizer_pb2.WatchJobRequest(name=job, previews=previews)
    calls = [stub.WatchJob(request) for _ in range(watchers)]
    for call in calls[:stalled]:
        await call.read()
    seen = await asyncio.gather(*(_read(call) for call in calls[stalled:]))
    for call in calls[:stalled]:
        call.cancel()
    return sum(seen)


async def _read(call: grpc.aio.UnaryStreamCall[stylizer_pb2.WatchJobRequest, stylizer_pb2.WatchJobResponse]) -> int:
    return len([event async for event in call])


if __name__ == "__main__":
    asyncio.run(main())
