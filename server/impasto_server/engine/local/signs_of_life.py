"""A worker's signs of life: each second the device is asked for something small, and its answer is told.

A thread alone would tell that the process lives, also when its device is stuck for good. So each sign takes an answer
of the device, on a stream of its own where it has streams: what else it computes, however long that takes, doesn't
keep it from answering. A device that doesn't answer leaves the thread silent, and silence is what is noticed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import torch

from impasto_server.engine.attempt import Alive

INTERVAL_S = 0.5
_LOOK_S = 0.01


def give(device: torch.device, tell: Callable[[Alive], None]) -> None:
    """Starts a thread that tells, for as long as the process lives and the device answers."""
    threading.Thread(target=_give, args=(device, tell), name="signs of life", daemon=True).start()


def _give(device: torch.device, tell: Callable[[Alive], None]) -> None:
    ask = _asks_cuda(device) if device.type == "cuda" else None
    while True:
        if ask:
            ask()
        tell(Alive())
        time.sleep(INTERVAL_S)


def _asks_cuda(device: torch.device) -> Callable[[], None]:
    """Its own memory, stream and event, taken once: the allocator is left to the painter."""
    torch.cuda.set_device(device)
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        counter = torch.zeros(1, device=device)
    answered = torch.cuda.Event()  # type: ignore[no-untyped-call]

    def ask() -> None:
        with torch.cuda.stream(stream):
            counter.add_(1)
            answered.record(stream)
        # Not `synchronize`: it spins, and holds a core that the painter wants.
        while not answered.query():  # type: ignore[no-untyped-call]
            time.sleep(_LOOK_S)

    return ask
