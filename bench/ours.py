"""A run of our engine as the measurements see it: only its steps are timed, whatever is done between them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator

from torch import Tensor

from bench.clock import Stopwatch
from impasto_server import nst
from impasto_server.recipes import Recipe

Steps = Generator[nst.Step, nst.Steering | None, None]


class Run:
    """Steps in slices. The first step's time holds everything that a run has to do before it, its targets above all."""

    def __init__(self, content: Tensor, style: Tensor, recipe: Recipe, vgg: nst.Vgg) -> None:
        self.recipe = recipe
        self.watch = Stopwatch(vgg.device)
        self.done = 0
        self.ended = False
        """True when no further step is to be had."""
        self._begin: Callable[[], Steps] = lambda: nst.stylize(content, [(style, 1.0)], recipe, vgg=vgg)
        self._steps: Steps | None = None
        self._last: nst.Step | None = None

    @property
    def at_final_scale(self) -> bool:
        """True when pictures have the result's size."""
        return self._last is not None and self._last.scale == self._last.scales

    def advance(self, steps: int) -> float:
        """Makes so many steps, or as many as are left; returns their seconds."""
        before = self.watch.seconds
        self.watch.time(lambda: self._make(steps))
        return self.watch.seconds - before

    def picture(self) -> Tensor:
        """What would be shown now, but normalised and unrounded: (1, 3, H, W) on the CPU, good until the next step."""
        assert self._last is not None
        return self._last.checkpoint(copy=False).tensors["picture"]

    def _make(self, steps: int) -> None:
        if self._steps is None:
            self._steps = self._begin()
        made = list(itertools.islice(self._steps, steps))
        self._last = made[-1] if made else self._last
        self.done += len(made)
        # A run that has settled says so only when it is asked for another step.
        self.ended = len(made) < steps or self.done >= self.recipe.steps
