"""What turns slopes into steps, and remembers something between two of them: `Adam` and `QuasiNewton` do."""

from collections.abc import Mapping
from typing import Protocol, Self

from torch import Tensor

from impasto_server.recipes import Recipe, Scale

from . import pictures

StepNumbers = tuple[float, float]
"""What differs from step to step: two numbers of the optimiser's own, which it gets back as a tensor."""


class Optimiser(Protocol):
    """A memory that steps change in place. Pictures and slopes are (1, 3, H, W)."""

    @classmethod
    def start(cls, picture: Tensor, size: Scale, recipe: Recipe) -> Self:
        """Remembers nothing yet."""

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], recipe: Recipe) -> Self | None:
        """What gave these tensors, or only the lasting ones; None if that was another one. A picture is among them."""

    def tensors(self) -> Mapping[str, Tensor]:
        """All that it remembers, but for the number of steps."""

    def lasting(self) -> Mapping[str, Tensor]:
        """What of it another run may begin with."""

    def at_next_scale(self, size: Scale, thinning: float, recipe: Recipe) -> Self:
        """For a picture of another size, whose slopes are about `thinning` times as steep."""

    def forget_slopes(self) -> None:
        """From now on slopes are those of another objective."""

    def step_numbers(self, rate: float, count: int, recipe: Recipe) -> StepNumbers:
        """For the next step, at this learning rate, after so many."""

    def step(self, picture: Tensor, slope: Tensor, numbers: Tensor, recipe: Recipe) -> None:
        """Takes a step against the slope, which it uses up; `numbers` are those for this step, as a tensor (2).

        Picture and memory change once nothing can fail any more: what takes memory comes first, and where there is
        none left, the same step can be taken again.
        """


def subtract_(picture: Tensor, step: Tensor, place: tuple[slice, slice], recipe: Recipe) -> None:
    """Takes the part of a step at some channels and rows off the picture, in place; takes no memory."""
    part = picture[:, *place].sub_(step)
    if recipe.clamp:
        pictures.clamp_(part, place[0])
