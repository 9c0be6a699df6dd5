"""Nothing on the server's event loop waits for a disk, a decoder or a lock: a whole life under blockbuster."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from blockbuster import BlockingError, blockbuster_ctx

from impasto.v1 import image_pb2, job_pb2, stylizer_pb2, stylizer_pb2_grpc
from impasto_server.engine import protocol
from impasto_server.jobs import Limits
from impasto_server.service import ServerConfig, serve
from tests import wire


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[stylizer_pb2_grpc.StylizerStub]:
    """A server in this very loop, painting in a process of its own."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    config = ServerConfig("127.0.0.1:0", folder, devices=("cpu",), limits=Limits(checkpoint_interval_s=0), drain_s=0)
    server = asyncio.create_task(serve(config, on_ready=ready.set_result))
    await asyncio.wait([ready, server], return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        server.result()
    async with grpc.aio.insecure_channel(ready.result()) as channel:
        try:
            yield stylizer_pb2_grpc.StylizerStub(channel)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            await server


async def test_a_server_s_loop_waits_for_nobody(
    tmp_path: Path, photo_png: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    async with serving(tmp_path) as stub:
        with blockbuster_ctx("impasto_server") as watchman:
            # What a logger writes to is the operator's choice.
            for name in ("io.TextIOWrapper.write", "io.BufferedWriter.write"):
                watchman.functions[name].can_block_functions.append(("logging/__init__.py", {"emit", "flush"}))
            uploaded = await stub.UploadImage(wire.upload_messages(photo_png))
            again = await stub.UploadImage(wire.upload_messages(photo_png))
            assert again.already_known
            spec = job_pb2.JobSpec(
                content=uploaded.image.name,
                styles=[job_pb2.Style(gallery_style="night-swirl")],
                recipe="draft",
                parameters=job_pb2.Parameters(size_px=64, steps=8),
            )
            job = (await stub.CreateJob(stylizer_pb2.CreateJobRequest(spec=spec))).job
            wish = image_pb2.PreviewOptions(max_size_px=32, max_per_second=60)
            request = stylizer_pb2.WatchJobRequest(name=job.name, previews=wish)
            kinds = {message.event.WhichOneof("kind") async for message in stub.WatchJob(request)}
            assert kinds >= {"state", "progress", "preview", "result"}
            ended = (await stub.GetJob(stylizer_pb2.GetJobRequest(name=job.name))).job
            download = stub.DownloadImage(stylizer_pb2.DownloadImageRequest(name=ended.result.image.name))
            assert sum([len(message.chunk) async for message in download]) == ended.result.image.size_bytes
            spec.parameters.steps = 5000
            long = (await stub.CreateJob(stylizer_pb2.CreateJobRequest(spec=spec))).job
            update = stylizer_pb2.UpdateJobRequest(name=long.name)
            update.weights.tv_weight = 0.0
            await stub.UpdateJob(update)
            async for message in stub.WatchJob(stylizer_pb2.WatchJobRequest(name=long.name)):
                if message.event.progress.step > 3:
                    await stub.CancelJob(stylizer_pb2.CancelJobRequest(name=long.name))
            await stub.GetServerInfo(stylizer_pb2.GetServerInfoRequest())
            assert len((await stub.ListJobs(stylizer_pb2.ListJobsRequest())).jobs) == 2
            for name in (job.name, long.name):
                await stub.DeleteJob(stylizer_pb2.DeleteJobRequest(name=name))
    assert "Blocking" not in caplog.text


async def test_the_watchman_would_have_seen_it() -> None:
    """A handler that waits, in a module of the server's."""
    namespace = {"__name__": protocol.__name__, "time": time}
    code = compile("async def waits():\n    time.sleep(0.01)\n", str(protocol.__file__), "exec")
    exec(code, namespace)  # noqa: S102 - our own two lines
    with blockbuster_ctx("impasto_server"), pytest.raises(BlockingError):
        await namespace["waits"]()  # type: ignore[operator]
