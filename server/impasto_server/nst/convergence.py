"""When a run has settled: its objective has stopped falling. Knows totals in order, no pictures, devices or clocks."""

import math
from collections.abc import Iterable

from impasto_server.recipes import Recipe


class Convergence:
    """Watches the totals of one scale, step by step, and says when the objective has settled.

    It has when the mean of the latest `settled_over_steps` totals differs by no more than `settled_share` from the mean
    of as many before them. Means, because L-BFGS without a line search does not fall at every step; a rise by more
    than the share is no convergence either, nor is a total that is not a number.

    Equal totals in equal order give equal answers: a run that feeds each total the same number of steps late on every
    device ends after the same step on each. For example, two steps late:

        convergence = Convergence(recipe)                      # at the start of the last scale
        ...
        convergence.take(total_of_two_steps_ago)               # once for each step
        if convergence.settled: ...                            # make no further step
        ...
        convergence.forget()                                   # weights have changed
        kept = convergence.totals                              # into the checkpoint, at most 2 × settled_over_steps
        convergence = Convergence(recipe, kept)                # resumed: the same answers from here on
    """

    def __init__(self, recipe: Recipe, totals: Iterable[float] = ()) -> None:
        self._share = recipe.settled_share
        self._over_steps = recipe.settled_over_steps
        self._totals = list(totals)

    @property
    def totals(self) -> tuple[float, ...]:
        """What it remembers, oldest first: enough to go on from. Nothing for a recipe that never settles."""
        return tuple(self._totals)

    @property
    def settled(self) -> bool:
        """Whether the totals taken so far say that further steps would hardly lower the objective."""
        return self._share is not None and self._change() <= self._share

    def take(self, total: float) -> None:
        """The next step's weighted losses, summed. Each step's is taken once."""
        if self._share is not None:
            self._totals = [*self._totals, total][-2 * self._over_steps :]

    def forget(self) -> None:
        """The objective is another one now: earlier totals can't be compared with the next."""
        self._totals.clear()

    def steps_left(self, made: int, most: int) -> int:
        """About how many steps of this scale are still to come, after `made` of at most `most`.

        What is left to lose shrinks about like one over the number of steps, so what a few steps take from it like one
        over that number's square: docs/performance.md says how well that foretells the end.
        """
        change = self._change()
        if not self._share or not math.isfinite(change):
            return most - made
        between = max(self._over_steps, made - self._over_steps)  # where the change was measured
        settled = self._over_steps + math.ceil(between * math.sqrt(change / self._share))
        return min(most, max(made, settled)) - made

    def _change(self) -> float:
        """Between the two means, as a share of the earlier one; infinite or NaN while it isn't known."""
        if len(self._totals) < 2 * self._over_steps:
            return math.inf
        before, latest = sum(self._totals[: self._over_steps]), sum(self._totals[self._over_steps :])
        change = abs(before - latest)
        return change / abs(before) if before else change and math.inf
