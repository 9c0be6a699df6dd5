"""Two contestants on one noisy machine: slices in turn, values judged outside the timed part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from bench.ours import Run

Judge = Callable[[Tensor], float]
"""The value of a normalised picture (1, 3, H, W), by the objective that decides the race."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where a run stood."""

    steps: int
    seconds: float
    value: float


class Judged:
    """A run of ours whose pictures are judged every few steps, once they have the size that counts."""

    def __init__(self, run: Run, judge: Judge, every: int) -> None:
        self.run = run
        self.points: list[Point] = []
        self._judge = judge
        self._every = every

    def advance(self, steps: int) -> None:
        """Makes about so many steps: whole strides from one verdict to the next."""
        until = self.run.done + steps
        while not self.run.ended and self.run.done < until:
            before = self.run.done
            self.run.advance(self._every - before % self._every)
            if self.run.done > before:
                self._look()

    def reached(self, value: float) -> Point | None:
        """The first verdict at the value or below it."""
        return next((point for point in self.points if point.value <= value), None)

    def best(self) -> Point:
        """The lowest verdict."""
        return min(self.points, key=lambda point: point.value)

    def _look(self) -> None:
        if self.run.at_final_scale:
            value = self._judge(self.run.picture())
            self.points.append(Point(self.run.done, self.run.watch.seconds, value))
