"""How soon the device obeys a cancel, how often previews come, and whether the reported rate is the one they show."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator, Sequence
from itertools import pairwise

from bench.gpu.ledger import Finding
from bench.gpu.setting import CONTENT, STYLE, Setting, height_of, sized
from bench.gpu.watched import Watched
from bench.report import Found, Row, at_most
from impasto_server.engine import Failed, Previewed, Progressed, Report, Task
from impasto_server.engine.local.pipe import LocalFiles
from impasto_server.gallery import GALLERY

CANCEL_S, PREVIEW_S, RATE_PERCENT = 0.1, 0.3, 5.0


def measure(setting: Setting) -> Iterator[Found | Finding]:
    """A long job by size, watched and then cancelled."""
    files = LocalFiles({entry.name: entry.path for entry in GALLERY}, setting.folder / "latency")
    watched = Watched(setting.device, preview_px=512)
    for width_px in setting.sizes.latency_px:
        task = Task(CONTENT, ((STYLE, 1.0),), sized("painterly", height_of(width_px), width_px))
        yield from setting.case(f"{width_px} px", _cancelled(setting, watched, task, files, width_px))


def _cancelled(
    setting: Setting, watched: Watched, task: Task, files: LocalFiles, width_px: int
) -> Iterator[Found | Finding]:
    made = watched.attempt(task, files, cancel_after_s=setting.sizes.latency_s)
    shutil.rmtree(files.scratch)
    if isinstance(made.end, Failed) or made.obeyed_s is None:
        yield Finding(what=f"{width_px} px", state="failed", note=str(made.end))
        return
    what, goals = f"{width_px} px: ", setting.device.type == "cuda"
    yield _row(f"{what}from a cancel to an idle device", made.obeyed_s, CANCEL_S, "s", goals)
    yield from _previews(what, made.reports, goals)


def _previews(what: str, reports: Sequence[tuple[float, Report]], goals: bool) -> Iterator[Found | Finding]:
    shown = [(at, report.step) for at, report in reports if isinstance(report, Previewed)]
    # The first ones fall into the choice of kernels and the recording.
    later = [(at, step) for at, step in shown if at > shown[-1][0] / 3] if shown else []
    if len(later) < 2:
        yield Finding(what=f"{what}previews", state="failed", note=f"only {len(later)} in the later two thirds")
        return
    gaps = [after[0] - before[0] for before, after in pairwise(later)]
    note = f"{len(shown)} in all, the longest gap {max(gaps):.3g} s"
    yield _row(f"{what}from preview to preview, median", statistics.median(gaps), PREVIEW_S, "s", goals, note)
    seen = (later[-1][1] - later[0][1]) / (later[-1][0] - later[0][0])
    told = [report for _, report in reports if isinstance(report, Progressed)][-1].steps_per_second
    note = f"{told:.4g} steps/s told, {seen:.4g} seen"
    yield _row(f"{what}the rate that is told is off by", 100 * abs(told / seen - 1), RATE_PERCENT, "%", goals, note)


def _row(what: str, value: float, most: float, unit: str, goals: bool, note: str = "") -> Row:
    return at_most(what, value, most, unit, note) if goals else Row(what, value, unit, note=note)
