"""The state of a run between two steps, and how a step moves it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from torch import Tensor

from impasto_server.recipes import Recipe, Scale

from . import pictures, spectrum
from .adam import Adam
from .bands import bands
from .optimiser import Optimiser, Pace
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

    def pace(self, recipe: Recipe) -> Pace:
        """What differs at the next step."""
        decay = recipe.learning_rate_decay ** (self.step_in_scale // recipe.decay_every_steps)
        return self.optimiser.pace(recipe.learning_rate * decay, self.count, recipe)

    def descend(self, gradient: Tensor, pace: Tensor, recipe: Recipe) -> None:
        """A step; `pace` as a tensor (2). Takes the gradient's place.

        With `spectral_power` the optimiser works on z, where the picture is F z and F a filter in favour of low
        frequencies: the gradient of z is F times the picture's, and a step in z is one of F times that in the picture.
        """
        power = recipe.spectral_power
        if power:
            spectrum.filter_(gradient, power)
        self.optimiser.turn_(gradient, pace, recipe)
        if power:
            spectrum.filter_(gradient, power)
        for band in bands(gradient):
            picture = self.picture[..., band, :].sub_(gradient[..., band, :])
            if recipe.clamp:
                pictures.clamp_(picture)

    def made_step(self) -> None:
        """Counts a step."""
        self.step_in_scale += 1
        self.count += 1


OPTIMISERS: Mapping[str, type[Optimiser]] = MappingProxyType({"adam": Adam, "l-bfgs": QuasiNewton})
"""By the names that recipes have for them."""
