"""Worker processes: one whose device is lost ends, and one that starts is waited for."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from impasto_server import recipes
from impasto_server.engine import Finished, LocalEngine, Task, WorkerDied, local

# Imported by the worker's Python at its start: while the file is there its device is beyond help, as after an illegal
# memory access, and whatever it is asked raises.
_BROKEN = """
import sys
from pathlib import Path

if any("engine.worker" in argument for argument in sys.orig_argv):
    from impasto_server import nst
    from impasto_server.nst.recorder import Recorder

    flag, step = Path({flag!r}), Recorder.step

    def failing(self, weights):
        if flag.exists() and self._steps_made == 2:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return step(self, weights)

    Recorder.step = failing
    nst.is_alive = lambda device: not flag.exists()
"""


@pytest.fixture
def task(tmp_path: Path) -> Task:
    Image.fromarray(data.coffee()[::8, ::8]).save(tmp_path / "photo.png")
    return Task(
        content=tmp_path / "photo.png",
        styles=((tmp_path / "photo.png", 1.0),),
        recipe=recipes.customise("draft", {"size_px": 48, "steps": 4, "coarsest_px": 48}),
        output=tmp_path / "painting.png",
        checkpoint=tmp_path / "job.checkpoint",
    )


async def test_a_cancel_does_not_kill_a_worker_that_is_still_starting(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However short the patience with one that paints."""
    monkeypatch.setattr(local, "CANCEL_PATIENCE_S", 1.0)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    engine = LocalEngine(["cpu"])
    await engine.start()
    try:
        (worker,) = engine.workers
        reports = worker.run(task)
        first = asyncio.ensure_future(anext(reports))
        await asyncio.sleep(0)
        worker.cancel()
        assert await first == Finished(0, partial=True)
    finally:
        await engine.stop()


async def test_a_process_whose_device_is_lost_ends_and_the_next_one_goes_on(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = tmp_path / "broken"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_BROKEN.format(flag=str(flag)))
    paths = [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    engine = LocalEngine(["cpu"])
    await engine.start()
    try:
        (worker,) = engine.workers
        await worker.ready()
        flag.touch()
        with pytest.raises(WorkerDied, match="The worker on cpu lost its device"):
            _ = [report async for report in worker.run(task)]
        flag.unlink()
        reports = [report async for report in worker.run(task)]
        assert reports[-1] == Finished(4, partial=False)
        assert task.output.exists()
    finally:
        await engine.stop()
