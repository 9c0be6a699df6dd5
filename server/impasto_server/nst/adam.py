"""Adam: steps by moving averages of the slope and of its square (Kingma & Ba 2015, algorithm 1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from impasto_server.recipes import Recipe, Scale

from . import pictures
from .bands import bands
from .optimiser import StepNumbers, subtract_

_EPSILON = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Adam:
    """The two moments of the slope, (1, 3, H, W) each. It has no use for a recipe's `spectral_power`."""

    first: Tensor
    second: Tensor

    @classmethod
    def start(cls, picture: Tensor, size: Scale, recipe: Recipe) -> Self:
        return cls(torch.zeros_like(picture), torch.zeros_like(picture))

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], recipe: Recipe) -> Self | None:
        return cls(tensors["first"], tensors["second"]) if tensors.keys() >= {"first", "second"} else None

    def tensors(self) -> Mapping[str, Tensor]:
        return {"first": self.first, "second": self.second}

    def lasting(self) -> Mapping[str, Tensor]:
        return self.tensors()

    def at_next_scale(self, size: Scale, thinning: float, recipe: Recipe) -> Self:
        # Bilinear, as that keeps first² ≤ second. Bicubic undershoots to second = 0 in places, where a single
        # step then goes as far as colours go: isolated dots.
        return type(self)(
            pictures.resized(self.first, size.height_px, size.width_px).mul_(thinning),
            pictures.resized(self.second, size.height_px, size.width_px).mul_(thinning**2),
        )

    def forget_slopes(self) -> None:
        """Moving averages do by themselves."""

    def step_numbers(self, rate: float, count: int, recipe: Recipe) -> StepNumbers:
        """The rate and the second moment's factor, both corrected for the averages' short past."""
        beta1, beta2 = recipe.betas
        return rate / (1 - beta1 ** (count + 1)), 1 / (1 - beta2 ** (count + 1))

    def step(self, picture: Tensor, slope: Tensor, numbers: Tensor, recipe: Recipe) -> None:
        beta1, beta2 = recipe.betas
        rate, correction = numbers
        scratch = torch.empty_like(slope[..., next(bands(slope)), :])
        for band in bands(slope):
            here, first, second = (whole[..., band, :] for whole in (slope, self.first, self.second))
            first.lerp_(here, 1 - beta1)
            second.mul_(beta2).addcmul_(here, here, value=1 - beta2)
            size = torch.mul(second, correction, out=scratch[..., : here.shape[-2], :]).sqrt_().add_(_EPSILON)
            torch.mul(first, rate, out=here).div_(size)
            subtract_(picture, here, (slice(None), band), recipe)
