"""L-BFGS: what the last steps did to the slope says how far the next one may go, direction by direction.

In the compact form of Byrd, Nocedal & Schnabel 1994 (eq. 3.1): one pass over the history for its products, one for
the step, and between them nothing larger than the history is long, nothing that a device is waited for. There is no
line search; a step is only kept from being longer than the learning rate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from impasto_server.recipes import Recipe, Scale

from .bands import bands
from .optimiser import Pace

_LEAST_COSINE = 1e-3
"""Between a step and what it did to the slope. Below it the surface is no bowl there, and the pair says nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class QuasiNewton:
    """The last M steps and what each changed in the slope, `pairs` (2, M, 3, H, W), in a ring: a step's place is its
    number modulo M. Until the next slope is known, minus the last one lies in the place of the change.

    `lengths` (M) are the steps' root mean squares, or how long the first one shall be.
    """

    pairs: Tensor
    lengths: Tensor

    @classmethod
    def start(cls, picture: Tensor, size: Scale, recipe: Recipe) -> Self:
        remembered = recipe.remembered_in(size)
        return cls(_no_pairs(remembered, picture), picture.new_full((remembered,), recipe.learning_rate))

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self | None:
        if "lengths" not in tensors:
            return None
        lengths, pairs = tensors["lengths"], tensors.get("pairs")
        return cls(_no_pairs(len(lengths), tensors["picture"]) if pairs is None else pairs, lengths)

    def tensors(self) -> Mapping[str, Tensor]:
        return {"pairs": self.pairs, **self.lasting()}

    def lasting(self) -> Mapping[str, Tensor]:
        return {"lengths": self.lengths}

    def at_next_scale(self, size: Scale, thinning: float, recipe: Recipe) -> Self:
        """The first step goes about as far as the last ones did. Pairs that are taken along do harm: they know nothing
        of the detail that a larger picture has room for.
        """
        remembered = recipe.remembered_in(size)
        pairs = self.pairs.new_zeros((2, remembered, 3, size.height_px, size.width_px))
        return type(self)(pairs, self.lengths.mean().repeat(remembered))

    def forget_slopes(self) -> None:
        """The next step goes straight down the slope, as far as the last one went."""
        self.pairs.zero_()

    def pace(self, rate: float, count: int, recipe: Recipe) -> Pace:
        """The longest step, and the oldest pair's place, which the coming step takes."""
        return rate, count % len(self.lengths)

    def turn_(self, slope: Tensor, pace: Tensor, recipe: Recipe) -> None:
        longest, oldest = pace
        remembered = len(self.lengths)
        order = (oldest.long() + torch.arange(remembered, device=slope.device)) % remembered
        here, newest = order[:1], order[-1:]
        steps, slopes = self.pairs
        slopes.index_add_(0, newest, slope)

        rows = self.pairs.flatten(2)
        by_changes = (rows @ rows[1].T).index_select(1, order).index_select(2, order)
        by_slope = (rows @ slope.flatten()).index_select(1, order)
        curve = _curve(by_changes, by_slope, self.lengths[order].square() * slope.numel())
        shares = torch.empty_like(by_slope).index_copy_(1, order, curve.shares)
        step = rows.flatten(0, 1).T @ shares.flatten()
        step.addcmul_(slope.flatten(), curve.reach)

        step = step.view_as(slope)
        length = _root_mean_square(step).clamp_min(torch.finfo(step.dtype).tiny)
        wanted = torch.where(curve.known, length, self.lengths[newest][0]).minimum(longest)
        step.mul_(wanted).div_(length)
        slopes.index_copy_(0, here, slope.neg_())
        slope.copy_(step)
        steps.index_copy_(0, here, step.neg_())
        self.lengths.index_copy_(0, here, wanted[None])


def _root_mean_square(step: Tensor) -> Tensor:
    squares = step.new_zeros(())
    for band in bands(step):
        squares += step[..., band, :].square().sum()
    return (squares / step.numel()).sqrt()


def _no_pairs(count: int, picture: Tensor) -> Tensor:
    return picture.new_zeros((2, count, *picture.shape[1:]))


class _Curve(NamedTuple):
    """A step as what it takes of each pair, `shares` (2, M), and of the slope, `reach`; `known` if any pair counts."""

    shares: Tensor
    reach: Tensor
    known: Tensor


def _curve(by_changes: Tensor, by_slope: Tensor, step_squares: Tensor) -> _Curve:
    """From the products of steps and changes with the changes (2, M, M) and with the slope (2, M), oldest first, and
    of each step with itself (M). The names of the paper: S for steps, Y for changes, D and R of Sᵀ Y, γ.
    """
    s_y, y_y = by_changes
    s_by_y, y_by_y = s_y.diagonal(), y_y.diagonal()
    counts = (s_by_y > _LEAST_COSINE * (step_squares * y_by_y).sqrt()).to(s_y.dtype)
    both = torch.outer(counts, counts)
    r = (s_y * both).triu() + torch.diag(1 - counts)
    s_p, y_p = by_slope * counts
    # The newest pair that counts.
    newest = (counts * torch.arange(1, len(counts) + 1, device=counts.device)).argmax(0, keepdim=True)
    known = counts.any()
    gamma = torch.where(known, (s_by_y / y_by_y)[newest], 1)[0]
    u = torch.linalg.solve_triangular(r, s_p[:, None], upper=True)
    inner = (s_by_y * counts)[:, None] * u + gamma * ((y_y * both) @ u - y_p[:, None])
    of_steps = torch.linalg.solve_triangular(r.T, inner, upper=False)
    return _Curve(torch.cat((of_steps, -gamma * u), 1).T, gamma, known)
