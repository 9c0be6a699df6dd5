"""The parts in their order, with their seconds; torch-free, for the process that only waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A part: it is left out with fewer than `least_s`, and ended after `most_s`; a `fresh` one begins a process."""

    name: str
    title: str
    least_s: float
    most_s: float
    fresh: bool = False


PLAN = (
    Planned(name="machine", title="what it is, and what it can do at best", least_s=15, most_s=45),
    Planned(
        name="correctness", title="each shortcut against plain float32, and that against float64", least_s=15, most_s=60
    ),
    Planned(name="self-check", title="what a worker finds out when it starts", least_s=10, most_s=30, fresh=True),
    Planned(name="tests", title="tests/nst/test_cuda.py", least_s=20, most_s=100),
    Planned(
        name="speed",
        title="steps a second, and the share of the matrix products' rate",
        least_s=20,
        most_s=80,
        fresh=True,
    ),
    Planned(name="convergence", title="the book's own code on the same device", least_s=20, most_s=70),
    Planned(name="painting", title="a whole painting, and its first preview", least_s=10, most_s=40),
    Planned(name="memory", title="what a large picture takes", least_s=15, most_s=40),
    Planned(name="recording", title="what replaying recorded steps brings", least_s=10, most_s=40),
    Planned(name="shortcuts", title="what each shortcut brings", least_s=10, most_s=60),
    Planned(name="latency", title="how soon a cancel, a preview and a rate are true", least_s=10, most_s=30),
    Planned(name="profile", title="the slowest kernels", least_s=15, most_s=45),
    Planned(name="kernels", title="what trying every kernel brings", least_s=10, most_s=30, fresh=True),
)
