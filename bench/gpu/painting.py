"""A whole `painterly` and its first preview, as `nst` makes them and as a worker does, from file to file."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Iterator

from bench.clock import synchronise
from bench.gpu.ledger import Finding
from bench.gpu.setting import CONTENT, STYLE, Setting, content_of, height_of, style
from bench.gpu.watched import Watched
from bench.report import Found, Row, at_most
from impasto_server import nst
from impasto_server.engine import Failed, Previewed, Task
from impasto_server.engine.local.pipe import LocalFiles
from impasto_server.gallery import GALLERY
from impasto_server.recipes import Recipe, customise

REPEATS = 3
GOAL_S = {"cuda": 1.0}
PREVIEW_PX = 512


def measure(setting: Setting) -> Iterator[Found | Finding]:
    """In this process first, then through the worker's `Painter`, each cold and warm."""
    recipe = customise("painterly", {"size_px": setting.sizes.painting_px, "steps": setting.sizes.painting_steps})
    cold, *warm = [_whole(setting, recipe) for _ in range(1 + REPEATS)]
    yield Row("in process, the first one", cold[1], "s", note=f"first preview after {cold[0]:.3g} s; chooses kernels")
    yield Row("in process, first preview", statistics.median(first for first, _ in warm), "s")
    seconds, goal = statistics.median(last for _, last in warm), GOAL_S.get(setting.device.type)
    what, note = f"in process, whole, {setting.sizes.painting_px} px", f"{recipe.steps} steps, targets included"
    yield at_most(what, seconds, goal, "s", note) if goal else Row(what, seconds, "s", note=note)
    yield from _by_a_worker(setting, recipe)


def _whole(setting: Setting, recipe: Recipe) -> tuple[float, float]:
    """Seconds until the first preview is on the CPU, and until the last picture is."""
    width_px = setting.sizes.painting_px
    content, painted = content_of(height_of(width_px), width_px), style()
    synchronise(setting.device)
    began = time.perf_counter()
    first = None
    for step in nst.stylize(content, [(painted, 1.0)], recipe, vgg=setting.trusted_vgg):
        if first is None:
            step.look(PREVIEW_PX).image()
            first = time.perf_counter() - began
    step.image()
    assert first is not None
    return first, time.perf_counter() - began


def _by_a_worker(setting: Setting, recipe: Recipe) -> Iterator[Found | Finding]:
    """A worker that has warmed up; the last one's picture stays in the folder, to be looked at."""
    files = LocalFiles({entry.name: entry.path for entry in GALLERY}, setting.folder / "painterly")
    task = Task(CONTENT, ((STYLE, 1.0),), recipe)
    watched = Watched(setting.device, preview_px=PREVIEW_PX)
    for what in ("by a worker, the first one", "by a worker, whole"):
        made = watched.attempt(task, files)
        if isinstance(made.end, Failed):
            shutil.rmtree(files.scratch)
            yield Finding(what=what, state="failed", note=f"{made.end.reason}: {made.end.message}")
            return
        assert made.end.picture
        assert made.end.picture.blob.path
        made.end.picture.blob.path.replace(setting.folder / "painterly.png")
        shutil.rmtree(files.scratch)
        previews = [at for at, report in made.reports if isinstance(report, Previewed)]
        note = f"first of {len(previews)} previews after {previews[0]:.3g} s" if previews else "no preview"
        yield Row(what, made.seconds, "s", note=f"{note}; the file is written")
