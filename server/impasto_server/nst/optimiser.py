"""What turns a slope into a step, and remembers something between two of them: `Adam` and `QuasiNewton` do."""

from collections.abc import Mapping
from typing import Protocol, Self

from torch import Tensor

from impasto_server.recipes import Recipe, Scale

Pace = tuple[float, float]
"""What differs from step to step: two numbers of the optimiser's own, which it gets back as a tensor."""


class Optimiser(Protocol):
    """A memory that steps change in place. Pictures and slopes are (1, 3, H, W)."""

    @classmethod
    def start(cls, picture: Tensor, size: Scale, recipe: Recipe) -> Self:
        """Remembers nothing yet."""

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self | None:
        """What gave these tensors, or only the lasting ones; None if that was another one. A picture is among them."""

    def tensors(self) -> Mapping[str, Tensor]:
        """All that it remembers, but for the number of steps."""

    def lasting(self) -> Mapping[str, Tensor]:
        """What of it another run may begin with."""

    def at_next_scale(self, size: Scale, thinning: float, recipe: Recipe) -> Self:
        """For a picture of another size, whose slopes are about `thinning` times as steep."""

    def forget_slopes(self) -> None:
        """From now on slopes are those of another objective."""

    def pace(self, rate: float, count: int, recipe: Recipe) -> Pace:
        """For the next step, at this learning rate, after so many."""

    def turn_(self, slope: Tensor, pace: Tensor, recipe: Recipe) -> None:
        """Puts what is to be subtracted from the picture in the slope's place; `pace` as a tensor (2)."""
