"""The state of a run between two steps, and how a step moves it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from torch import Tensor

from impasto_server.recipes import Recipe, Scale

from . import pictures
from .adam import Adam
from .optimiser import Optimiser, StepNumbers
from .quasi_newton import QuasiNewton


@dataclass(slots=True, eq=False)
class State:
    """A run between two steps. A step changes its tensors in place: there is room for one picture only.

    The picture is normalised, (1, 3, height, width).
    """

    scale: int
    """Index into the plan."""
    step_in_scale: int
    count: int
    """Steps that the optimiser was there for."""
    picture: Tensor
    optimiser: Optimiser

    @classmethod
    def start(cls, picture: Tensor, size: Scale, recipe: Recipe) -> Self:
        return cls(0, 0, 0, picture, OPTIMISERS[recipe.optimiser].start(picture, size, recipe))

    def at_next_scale(self, size: Scale, recipe: Recipe) -> "State":
        """The painting and the optimiser's memory, enlarged."""
        height, width = size.height_px, size.width_px
        picture = pictures.clamp_(pictures.enlarged(self.picture, height, width))
        # Losses are means over positions: the more pixels there are, the less of the gradient each one gets.
        thinning = self.picture.shape[-2] * self.picture.shape[-1] / (height * width)
        return State(
            scale=self.scale + 1,
            step_in_scale=0,
            count=self.count,
            picture=picture,
            optimiser=self.optimiser.at_next_scale(size, thinning, recipe),
        )

    def step_numbers(self, recipe: Recipe) -> StepNumbers:
        """What differs at the next step."""
        decay = recipe.learning_rate_decay ** (self.step_in_scale // recipe.decay_every_steps)
        return self.optimiser.step_numbers(recipe.learning_rate * decay, self.count, recipe)

    def step(self, gradient: Tensor, numbers: Tensor, recipe: Recipe) -> None:
        """Takes a step, and uses up the gradient; its numbers as a tensor (2). Takes none where there is no memory."""
        self.optimiser.step(self.picture, gradient, numbers, recipe)

    def made_step(self) -> None:
        """Counts a step."""
        self.step_in_scale += 1
        self.count += 1


OPTIMISERS: Mapping[str, type[Optimiser]] = MappingProxyType({"adam": Adam, "l-bfgs": QuasiNewton})
"""By the names that recipes have for them."""
