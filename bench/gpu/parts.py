"""Which function measures which part of the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from bench.gpu import (
    convergence,
    correctness,
    cuda_tests,
    latency,
    machine,
    memory,
    painting,
    profile,
    self_check,
    speed,
)
from bench.gpu.ledger import Finding
from bench.gpu.setting import Setting
from bench.report import Found

PARTS: Mapping[str, Callable[[Setting], Iterator[Found | Finding]]] = {
    "machine": machine.measure,
    "correctness": correctness.measure,
    "self-check": self_check.measure,
    "tests": cuda_tests.measure,
    "speed": speed.measure,
    "convergence": convergence.measure,
    "painting": painting.measure,
    "memory": memory.measure,
    "recording": speed.recording,
    "shortcuts": speed.shortcuts,
    "kernels": speed.tried,
    "latency": latency.measure,
    "profile": profile.measure,
}
