"""A device in virtual time that takes any number of steps at once and does them one after the other, as GPUs do.

The host's clock moves when the host works, by a little for each step that it asks for, and when it waits for a mark.
Nothing here depends on how fast the machine of the test is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from impasto_server.engine import painter as painter_module
from impasto_server.nst import marks, run, step
from impasto_server.nst.marks import Reading
from impasto_server.nst.state import State

HOST_S = 5e-5
"""What asking for a step takes the host."""


@dataclass
class VirtualDevice:
    """Steps take `step_s` each; `now` is the host's time, `ends` when each step that was asked for is done."""

    step_s: float
    now: float = 0.0
    ends: list[float] = field(default_factory=list)
    most_in_flight: int = 0
    looked_at: list[float] = field(default_factory=list)
    """When pictures were ready to be looked at."""

    @property
    def idle_at(self) -> float:
        return max(self.now, self.ends[-1]) if self.ends else self.now

    def ask_for_step(self) -> None:
        self.now += HOST_S
        self.ends.append(self.idle_at + self.step_s)
        self.most_in_flight = max(self.most_in_flight, sum(end > self.now for end in self.ends[-2000:]))

    def monotonic(self) -> float:
        return self.now


@dataclass(frozen=True)
class _Mark:
    device: VirtualDevice
    reached_at: float

    def synchronize(self) -> None:
        self.device.now = max(self.device.now, self.reached_at)


class _Beside:
    """What is done beside the run holds nobody up: it is done at once, and the host's clock stands still for it."""

    def __init__(self, device: VirtualDevice, name: str) -> None:
        self._device = device
        self._name = name

    def offer(self, work: Callable[[], None]) -> None:
        now = self._device.now
        work()
        if self._name == "previews":
            self._device.looked_at.append(self._device.now)
        self._device.now = now

    def flush(self) -> None: ...

    def drop(self) -> None: ...


class _Recorder:
    def __init__(self, device: VirtualDevice, state: State) -> None:
        self._device = device
        self._state = state

    def step(self, _: Any) -> Reading:
        self._device.ask_for_step()
        self._state.made_step()
        return Reading(torch.ones(3))


def put_in_place(device: VirtualDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has every painter of this test paint on it, pictures that stay as they began."""

    def mark(_: torch.device) -> _Mark:
        return _Mark(device, device.idle_at)

    monkeypatch.setattr(marks, "mark", mark)
    monkeypatch.setattr(step, "mark", mark)
    monkeypatch.setattr(run, "objective", lambda *_: None)
    monkeypatch.setattr(run, "Recorder", lambda state, *_, **__: _Recorder(device, state))
    monkeypatch.setattr(painter_module, "Beside", lambda name: _Beside(device, name))
    monkeypatch.setattr(painter_module, "time", device)
