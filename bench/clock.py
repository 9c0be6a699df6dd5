"""The one place that knows the clock: seconds of work on a device, gathered slice by slice."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")


class Stopwatch:
    """Adds up the time of the slices of one contestant; it waits for the device at both ends of each."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = 0.0

    def time(self, work: Callable[[], Result]) -> Result:
        """Does the work, and counts it."""
        synchronise(self.device)
        began = time.perf_counter()
        result = work()
        synchronise(self.device)
        self.seconds += time.perf_counter() - began
        return result


def synchronise(device: torch.device) -> None:
    """Waits for everything that was asked of the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
