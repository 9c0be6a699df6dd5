"""A run obeys, and is seen, as soon on a device that takes hundreds of steps at once as on one that takes one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage import data

from impasto_server import recipes
from impasto_server.engine import (
    Finished,
    PreviewRequest,
    PreviewSpec,
    Progressed,
    Report,
    Steer,
    Steered,
    Steering,
    Task,
)
from impasto_server.engine.local.pipe import LocalFiles
from impasto_server.engine.painter import Painter

from .virtual_device import HOST_S, VirtualDevice, put_in_place

STEPS = 4000


class Asking:
    """A watcher from the start; somebody who steers and then cancels when their time has come."""

    def __init__(self, device: VirtualDevice, steered_at: float, cancelled_at: float) -> None:
        self._device = device
        self._steered_at = steered_at
        self._cancelled_at = cancelled_at
        self.previews = PreviewRequest(frozenset({PreviewSpec(max_size_px=32)}), interval_s=0.25)

    @property
    def cancelled(self) -> bool:
        return self._device.now >= self._cancelled_at

    def take_steers(self) -> list[Steer]:
        if self._device.now < self._steered_at:
            return []
        self._steered_at = float("inf")
        return [Steer(1, Steering(style_weight=7.0))]


@pytest.fixture(params=[1e-4, 1e-3, 0.02, 0.1], ids=["0.1 ms", "1 ms", "20 ms", "100 ms"])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualDevice]:
    found = VirtualDevice(request.param)
    put_in_place(found, monkeypatch)
    yield found
    assert found.most_in_flight <= 2


@pytest.fixture
def task(tmp_path: Path) -> Task:
    Image.fromarray(data.coffee()[::16, ::16]).save(tmp_path / "photo.png")
    recipe = recipes.customise("fast-classic", {"size_px": 32, "steps": STEPS})
    return Task("photo", (("photo", 1.0),), recipe)


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    (tmp_path / "scratch").mkdir()
    return LocalFiles({"photo": tmp_path / "photo.png"}, tmp_path / "scratch")


def test_a_cancel_takes_effect_within_two_steps(device: VirtualDevice, task: Task, files: LocalFiles) -> None:
    asked_at = 0.4 * STEPS * device.step_s
    reports: list[Report] = []
    end = Painter(torch.device("cpu"), Asking(device, float("inf"), asked_at), reports.append).attempt(task, files)
    assert isinstance(end, Finished)
    assert end.partial
    assert device.idle_at - asked_at <= 2 * (device.step_s + HOST_S)


def test_a_steering_takes_effect_within_two_steps(device: VirtualDevice, task: Task, files: LocalFiles) -> None:
    asked_at = 0.2 * STEPS * device.step_s
    reports: list[Report] = []
    asking = Asking(device, asked_at, 2 * asked_at)
    Painter(torch.device("cpu"), asking, reports.append).attempt(task, files)
    (steered,) = (report for report in reports if isinstance(report, Steered))
    begun = device.ends[steered.step - 1] - device.step_s
    assert begun - asked_at <= 2 * (device.step_s + HOST_S)


def test_previews_come_as_often_as_they_are_asked_for(device: VirtualDevice, task: Task, files: LocalFiles) -> None:
    asking = Asking(device, float("inf"), min(5.0, 0.5 * STEPS * device.step_s))
    Painter(torch.device("cpu"), asking, lambda _: None).attempt(task, files)
    assert device.looked_at[0] <= 2 * (device.step_s + HOST_S)
    gaps = [later - earlier for earlier, later in pairwise(device.looked_at)]
    assert max(gaps, default=0.0) <= 0.25 + 2 * (device.step_s + HOST_S)
    assert len(gaps) >= int(device.idle_at / (0.25 + 2 * device.step_s)) - 1


def test_rates_count_what_was_painted_and_not_what_was_asked_for(
    device: VirtualDevice, task: Task, files: LocalFiles
) -> None:
    reports: list[Report] = []
    asking = Asking(device, float("inf"), 0.5 * STEPS * device.step_s)
    Painter(torch.device("cpu"), asking, reports.append).attempt(task, files)
    rates = [report.steps_per_second for report in reports if isinstance(report, Progressed) and report.step > 20]
    assert rates
    slowest = device.step_s + HOST_S  # where the host is waited for as well
    assert all(0.95 / slowest <= rate <= 1.05 / device.step_s for rate in rates), (rates[0], rates[-1])


def test_progress_tells_of_a_step_that_is_nearly_done(device: VirtualDevice, task: Task, files: LocalFiles) -> None:
    told: list[tuple[float, int]] = []

    def report(each: Report) -> None:
        if isinstance(each, Progressed):
            told.append((device.now, each.step))

    asking = Asking(device, float("inf"), 0.3 * STEPS * device.step_s)
    Painter(torch.device("cpu"), asking, report).attempt(task, files)
    assert all(device.ends[step - 1] <= now <= device.ends[step - 1] + 2 * HOST_S for now, step in told)
