"""Content, style and total variation, as the textbook has them and relative to their targets.

Style works on `Moments`, sums over positions, so that a picture may be taken in one piece or tile by tile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_TINY = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Sums over positions of one layer's features: of the features (C) and of their products (C, C)."""

    positions: float
    first: Tensor
    second: Tensor

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.positions + other.positions, self.first + other.first, self.second + other.second)

    def mean(self) -> Tensor:
        return self.first / self.positions

    def covariance(self) -> Tensor:
        mean = self.mean()
        return self.second / self.positions - torch.outer(mean, mean)

    def gram(self) -> Tensor:
        """Gatys et al. 2016, eq. 3, over C · H · W as the textbook scales it."""
        return self.second / (self.first.numel() * self.positions)


def moments(features: Tensor) -> Moments:
    """Of features (1, C, H, W)."""
    rows = features[0].permute(1, 2, 0).reshape(-1, features.shape[1])
    return Moments(rows.shape[0], rows.sum(0), rows.T @ rows)


def blended(parts: Sequence[Moments], shares: Sequence[float]) -> Moments:
    """The moments of several styles in given shares (adding up to 1), whatever their sizes."""
    return Moments(
        1.0,
        torch.stack([share * part.mean() for part, share in zip(parts, shares, strict=True)]).sum(0),
        torch.stack([share / part.positions * part.second for part, share in zip(parts, shares, strict=True)]).sum(0),
    )


def textbook_content(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference (Gatys et al. 2016, eq. 1, with a mean for the sum)."""
    return F.mse_loss(features, target)


def textbook_style(style: Moments, target: Moments) -> Tensor:
    """Mean squared difference of Gram matrices (Gatys et al. 2016, eq. 4, with a mean for the sum)."""
    return F.mse_loss(style.gram(), target.gram())


def total_variation(picture: Tensor) -> Tensor:
    """Half the mean absolute differences of vertical and of horizontal neighbours (Mahendran & Vedaldi 2015)."""
    vertical = (picture[..., 1:, :] - picture[..., :-1, :]).abs().mean()
    horizontal = (picture[..., :, 1:] - picture[..., :, :-1]).abs().mean()
    return 0.5 * (vertical + horizontal)


def relative_content(features: Tensor, target: Tensor) -> Tensor:
    """Squared difference in units of the target's own variance: 1 for a picture that shows nothing of it."""
    variance = (target - target.mean((-2, -1), keepdim=True)).square().mean()
    return (features - target).square().mean() / (variance + _TINY)


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """A style layer as a normal distribution of features: mean (C), covariance's root (C, C), total variance."""

    mean: Tensor
    root: Tensor
    variance: Tensor


def normal(target: Moments) -> Normal:
    covariance = target.covariance()
    values, vectors = torch.linalg.eigh(covariance.double().cpu())
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    return Normal(target.mean(), root.to(covariance), covariance.trace())


def relative_style(style: Moments, target: Normal) -> Tensor:
    """Squared Wasserstein distance of normal distributions (Dowson & Landau 1982, eq. 4) per target second moment.

    About 1 for a picture that has nothing of the style, 0 for one with the same statistics. The mean squared
    difference of Gram matrices sees little but the strongest features; this distance weighs all of them.
    """
    covariance = style.covariance()
    common: Tensor = _TraceOfRoot.apply(target.root @ covariance @ target.root)
    distance = (style.mean() - target.mean).square().sum() + covariance.trace() + target.variance - 2 * common
    return distance / (target.mean.square().sum() + target.variance + _TINY)


class _TraceOfRoot(torch.autograd.Function):
    """tr(A^½) of a symmetric, positive semidefinite A, whose gradient is ½ A^-½.

    Both by coupled Newton-Schulz iterations (Higham 2008, eq. 6.35): matrix products only, so that a GPU need not
    wait for an eigensolver. Stopped early they leave out the smallest eigenvalues, which have no stable gradient.
    """

    ITERATIONS = 10

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        scale = matrix.trace() + _TINY
        identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
        root, inverse = matrix / scale, identity
        for _ in range(_TraceOfRoot.ITERATIONS):
            correction = 1.5 * identity - 0.5 * inverse @ root
            root, inverse = root @ correction, correction @ inverse
        ctx.save_for_backward(inverse / scale.sqrt())
        return root.trace() * scale.sqrt()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (inverse,) = ctx.saved_tensors
        half: Tensor = 0.5 * inverse
        return gradient * half
