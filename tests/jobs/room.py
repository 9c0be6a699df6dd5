"""The jobs room of a test: a state folder, an upload, a spec, and ways to wait for what follows by itself."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from impasto_server.engine import ResultFormat
from impasto_server.jobs import IncomingBlob, Job, Jobs, JobSpec, Limits, StyleSource, resolve

from .scripted_engine import FACTS, ScriptedEngine

PHOTO = b"a photo"
PHOTO_SHA256 = hashlib.sha256(PHOTO).hexdigest()


def spec(
    content: str = PHOTO_SHA256,
    *,
    device: str | None = None,
    continue_from: str | None = None,
    parameters: Mapping[str, object] = {},
    result_format: ResultFormat = ResultFormat(),  # noqa: B008 - frozen
) -> JobSpec:
    """A small job, of one picture in its own manner."""
    resolved = resolve("draft", parameters, continues=continue_from is not None)
    return JobSpec(
        content, (StyleSource(content),), "draft", resolved, parameters, device, continue_from, result_format
    )


async def upload(jobs: Jobs, data: bytes = PHOTO) -> str:
    """Sends a picture; returns its hash."""
    incoming = IncomingBlob(jobs.storage.scratch_path())
    incoming.write(data)
    sha256 = hashlib.sha256(data).hexdigest()
    incoming.finish(sha256)
    await jobs.storage.take_in(incoming, sha256, FACTS)
    return sha256


@asynccontextmanager
async def room(engine: ScriptedEngine, folder: Path, limits: Limits = Limits()) -> AsyncIterator[Jobs]:  # noqa: B008
    """The room with a photo in it."""
    async with Jobs(engine, folder, limits) as jobs:
        await upload(jobs)
        yield jobs


async def quiet(jobs: Jobs) -> None:
    """Waits until everything that follows by itself has followed."""
    for _ in range(4):
        for _ in range(10):
            await asyncio.sleep(0)
        await jobs._writer.write(lambda _: None)
        await jobs._writer.read(lambda _: None)
        await asyncio.to_thread(lambda: None)


async def until(jobs: Jobs, job_id: str, *states: str) -> Job:
    """The job, once it is in one of these states."""
    async with asyncio.timeout(20):
        while (job := await jobs.get(job_id)).state.value not in states:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    return job
