"""Marks in a device's work, so that the host waits for one place in its queue and not for all of it.

A GPU takes work much faster than it does it. Whoever queues without a bound is told what happened, and is obeyed,
only when everything that was queued before has been done.
"""

import contextlib
import functools
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor


class Mark(Protocol):
    """A place in a device's work."""

    def synchronize(self) -> None:
        """Returns when the device has got there."""


class _Reached:
    """On a CPU all that was asked for has been done."""

    def synchronize(self) -> None:
        """Nothing to wait for."""


def mark(device: torch.device) -> Mark:
    """Behind all that this thread has asked of the device so far."""
    match device.type:
        case "cuda":
            on_cuda = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call] # a host that waits sleeps
            on_cuda.record(torch.cuda.current_stream(device))
            return on_cuda
        case "xpu":
            on_xpu = torch.xpu.Event()  # type: ignore[no-untyped-call]
            on_xpu.record(torch.xpu.current_stream(device))
            return on_xpu
        case "mps":
            on_metal = torch.mps.Event()
            on_metal.record()
            return on_metal
        case _:
            return _Reached()


class Reading:
    """A few numbers on their way to the host; whoever asks for them waits for nothing that was queued after them."""

    def __init__(self, numbers: Tensor) -> None:
        if numbers.device.type in ("cuda", "xpu"):
            self._numbers = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
            self._numbers.copy_(numbers, non_blocking=True)
        else:
            self._numbers = numbers.clone()
        self._mark = mark(numbers.device)

    def numbers(self) -> list[float]:
        """Waits for them."""
        self._mark.synchronize()
        found: list[float] = self._numbers.tolist()
        return found


@contextlib.contextmanager
def beside(device: torch.device) -> Iterator[None]:
    """What is asked of the device in here doesn't wait for what other threads have queued, and they don't for it."""
    match device.type:
        case "cuda":
            with torch.cuda.stream(_cuda_stream(device)):
                yield
        case "xpu":
            with torch.xpu.stream(_xpu_stream(device)):
                yield
        case _:
            yield


# One stream for all: each has a pool of memory of its own.


@functools.cache
def _cuda_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@functools.cache
def _xpu_stream(device: torch.device) -> torch.xpu.Stream:
    return torch.xpu.Stream(device)  # type: ignore[no-untyped-call]
