"""A worker's `Painter` without its process: what it reports and when, and when it obeys."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bench.clock import synchronise
from impasto_server.engine import Failed, Files, Finished, PreviewRequest, PreviewSpec, Report, Steer, Task
from impasto_server.engine.painter import Painter


@dataclass(frozen=True, slots=True)
class Made:
    """One attempt: its end, its reports with their seconds since the beginning, and its seconds."""

    end: Finished | Failed
    reports: Sequence[tuple[float, Report]]
    seconds: float
    obeyed_s: float | None
    """From the cancel until the device had nothing to do any more; None without a cancel."""


class Watched:
    """Keeps the model between attempts. Previews are asked for as watchers do by default."""

    def __init__(self, device: torch.device, *, preview_px: int) -> None:
        self.previews = PreviewRequest(frozenset({PreviewSpec(max_size_px=preview_px)}))
        self._device = device
        self._cancelled_at: float | None = None
        self._obeyed_s: float | None = None
        self._began = 0.0
        self._reports: list[tuple[float, Report]] = []
        self._cancel_after_s: float | None = None
        self._painter = Painter(device, self, self._report)
        self._painter.warm_up()

    def attempt(self, task: Task, files: Files, *, cancel_after_s: float | None = None) -> Made:
        """Paints it; with `cancel_after_s` it is cancelled that long after its first report."""
        self._cancelled_at = self._obeyed_s = None
        self._reports = []
        self._cancel_after_s = cancel_after_s
        self._began = time.perf_counter()
        end = self._painter.attempt(task, files)
        return Made(end, self._reports, time.perf_counter() - self._began, self._obeyed_s)

    @property
    def cancelled(self) -> bool:
        """The painter asks between two steps: when it hears of the cancel, the device is waited for."""
        if self._cancelled_at is None:
            return False
        if self._obeyed_s is None:
            synchronise(self._device)
            self._obeyed_s = time.perf_counter() - self._cancelled_at
        return True

    def take_steers(self) -> list[Steer]:
        return []

    def _report(self, report: Report) -> None:
        self._reports.append((time.perf_counter() - self._began, report))
        if self._cancel_after_s is not None:
            timer = threading.Timer(self._cancel_after_s, self._cancel)
            timer.daemon = True
            timer.start()
            self._cancel_after_s = None

    def _cancel(self) -> None:
        self._cancelled_at = time.perf_counter()
