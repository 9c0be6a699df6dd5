"""L-BFGS: what the last steps did to the slope says how far the next one may go, direction by direction.

In the compact form of Byrd, Nocedal & Schnabel 1994 (eq. 3.1): one pass over the history for its products, one for
the step, and between them nothing larger than the history is long, nothing that a device is waited for. There is no
line search; a step is only kept from being longer than the learning rate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
from torch import Tensor

from impasto_server.recipes import Recipe, Scale

from . import spectrum
from .optimiser import StepNumbers, subtract_

_LEAST_COSINE = 1e-3
"""Between a step and what it did to the slope. Below it the surface is no bowl there, and the pair says nothing."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class QuasiNewton:
    """The last M steps and what each changed in the slope, with what they multiply to.

    With `spectral_power` it works on z, where the picture is F z and F a filter in favour of low frequencies: the slope
    of z is F times the picture's, and a step in z is one of F times that in the picture.
    """

    pairs: Tensor
    """(2, M, 3, H, W), steps and by how much the slope fell, in a ring: a step's place is its number modulo M. Until
    the next slope is known, the last one lies in the place of its fall."""
    products: Tensor
    """(2, M, M), oldest first: the inverse of the paper's R, and what falls multiply to with falls. Pairs that don't
    count have zeros in both, but for ones on R's diagonal."""
    lengths: Tensor
    """(M), oldest first: the steps' root mean squares, or how long the first one shall be."""
    gamma: Tensor
    """The step over the slope where no pair knows better: the paper's γ, of the newest pair that counts."""
    orders: Tensor
    """(M, M), by the oldest pair's place, the places of all, oldest first."""
    gain: Tensor | None
    """The filter, as `spectrum` has it."""

    @classmethod
    def start(cls, picture: Tensor, size: Scale, recipe: Recipe) -> Self:
        remembered = recipe.remembered_in(size)
        return cls._without_pairs(picture, picture.new_full((remembered,), recipe.learning_rate), size, recipe)

    @classmethod
    def _without_pairs(cls, like: Tensor, lengths: Tensor, size: Scale, recipe: Recipe) -> Self:
        height, width, remembered, power = size.height_px, size.width_px, len(lengths), recipe.spectral_power
        places = torch.arange(remembered, device=like.device)
        return cls(
            pairs=like.new_zeros((2, remembered, 3, height, width)),
            products=torch.stack((torch.eye(remembered), torch.zeros(remembered, remembered))).to(like),
            lengths=lengths,
            gamma=like.new_ones(()),
            orders=(places[:, None] + places) % remembered,
            gain=spectrum.gains(height, width, power, like) if power else None,
        )

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], recipe: Recipe) -> Self | None:
        if "lengths" not in tensors:
            return None
        picture = tensors["picture"]
        fresh = cls._without_pairs(picture, tensors["lengths"], Scale(picture.shape[-2], picture.shape[-1], 0), recipe)
        own = {
            name: tensors[name] for name in ("pairs", "products", "gamma") if tensors.keys() >= fresh.tensors().keys()
        }
        return replace(fresh, **own)

    def tensors(self) -> Mapping[str, Tensor]:
        return {"pairs": self.pairs, "products": self.products, "gamma": self.gamma, **self.lasting()}

    def lasting(self) -> Mapping[str, Tensor]:
        return {"lengths": self.lengths}

    def at_next_scale(self, size: Scale, thinning: float, recipe: Recipe) -> Self:
        """The first step goes about as far as the last ones did. Pairs that are taken along do harm: they know nothing
        of the detail that a larger picture has room for.
        """
        return self._without_pairs(self.pairs, self.lengths.mean().repeat(recipe.remembered_in(size)), size, recipe)

    def forget_slopes(self) -> None:
        """The next step goes straight down the slope, as far as the last one went."""
        self.pairs.zero_()
        self.products[1].zero_()

    def step_numbers(self, rate: float, count: int, recipe: Recipe) -> StepNumbers:
        """The longest step, and the oldest pair's place, which the coming step takes."""
        return rate, count % len(self.lengths)

    def step(self, picture: Tensor, slope: Tensor, numbers: Tensor, recipe: Recipe) -> None:
        longest, oldest = numbers
        (order,) = self.orders.index_select(0, oldest.long()[None])
        here, newest = order[:1], order[-1:]
        if self.gain is not None:
            spectrum.filter_(slope, self.gain)
        steps, falls = self.pairs
        rows, straight = self.pairs.flatten(2).flatten(0, 1), slope.flatten()
        # As a difference, not by its products' differences: it is small beside the slopes.
        fall = falls.index_select(0, newest).sub_(slope).flatten()
        by_place = slope.new_empty((2, len(rows)))
        torch.mv(rows, fall, out=by_place[0])
        torch.mv(rows, straight, out=by_place[1])
        by_age = by_place.view(2, 2, -1).index_select(2, order)
        torch.dot(fall, fall, out=by_age[0, 1, -1])
        torch.dot(fall, straight, out=by_age[1, 1, -1])

        curve = _curve(self.products, self.gamma, by_age, _LEAST_COSINE * slope.numel() ** 0.5 * self.lengths[-1])
        shares = torch.empty_like(curve.shares).index_copy_(1, order, curve.shares)
        shares[1].index_fill_(0, newest, 0)  # where the newest fall belongs lies the last slope yet
        step = fall.mul_(curve.shares[1, -1]).addmv_(rows.T, shares.flatten()).addcmul_(straight, curve.gamma)
        length = (torch.dot(step, step) / slope.numel()).sqrt_().clamp_min_(torch.finfo(step.dtype).tiny ** 0.5)
        wanted = torch.where(curve.known, length, self.lengths[-1]).minimum(longest)
        step = step.mul_(wanted / length).view_as(slope)
        lengths = torch.cat((self.lengths[1:], wanted[None]))

        parts = [(spectrum.EVERYWHERE, step)] if self.gain is None else spectrum.filtered(step, self.gain)
        for place, part in parts:
            subtract_(picture, part, place, recipe)
        falls.index_add_(0, newest, slope, alpha=-1)
        falls.index_copy_(0, here, slope)
        steps.index_copy_(0, here, step)
        self.products.copy_(curve.products)
        self.lengths.copy_(lengths)
        self.gamma.copy_(curve.gamma)


class _Curve(NamedTuple):
    """A step as what it takes of each pair, `shares` (2, M), and of the slope, `gamma`; `known` if any pair counts."""

    shares: Tensor
    gamma: Tensor
    known: Tensor
    products: Tensor


def _curve(products: Tensor, gamma: Tensor, by_age: Tensor, least: Tensor) -> _Curve:
    """From what is known, and from the products with the newest fall and with the slope (2, 2, M), of steps and of
    falls, oldest first; a pair counts whose steps and falls multiply to `least` times the fall's size. The names of the
    paper: S for steps, Y for falls, R and D of Sᵀ Y, γ.
    """
    inverse_r, y_y = products = products.roll((-1, -1), (1, 2))  # the newest pair takes the oldest one's place
    s_by_y, y_by_y = by_age[0, :, -1]
    torch.mul(y_by_y, s_by_y > least * y_by_y.sqrt(), out=y_y[-1, -1])
    counts = y_y.diagonal() > 0
    by_age *= counts
    y_y[:, -1] = y_y[-1] = by_age[0, 1]
    gamma = torch.where(counts[-1], s_by_y / y_by_y, gamma)
    # One column more of R is one more of its inverse; without the oldest pair's, the rest stays as it is.
    inverse_r[-1].zero_()
    of_newest = torch.where(counts[-1], s_by_y, 1).reciprocal_()
    torch.mul(inverse_r[:-1, :-1] @ by_age[0, 0, :-1], -of_newest, out=inverse_r[:-1, -1])
    inverse_r[-1, -1] = of_newest
    s_p, y_p = by_age[1]
    u = inverse_r @ s_p
    inner = torch.addcmul(u / inverse_r.diagonal(), torch.addmv(y_p, y_y, u, beta=-1), gamma)
    return _Curve(torch.stack((inverse_r.T @ inner, u * -gamma)), gamma, counts.any(), products)
