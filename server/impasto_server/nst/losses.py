"""Content, style and total variation, as the textbook has them and relative to their targets, with their gradients.

Style works on `Moments`, sums over positions, so that a picture may be taken in one piece or tile by tile. Every
loss gives its value and its slope in closed form; nothing here waits for the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .bands import bands
from .products import add_gram_, times

_TINY = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Sums over positions of one layer's features: of the features (C) and of their products (C, C)."""

    positions: int
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


@dataclass(frozen=True, slots=True, eq=False)
class Slope:
    """The gradient of a loss with respect to moments: `first` (C), or None for zeros; `second` (C, C), symmetric."""

    first: Tensor | None
    second: Tensor

    def times(self, weight: Tensor) -> "Slope":
        """Of the loss times a weight."""
        return Slope(None if self.first is None else self.first * weight, self.second * weight)

    def to(self, dtype: torch.dtype) -> "Slope":
        """In another floating point type."""
        return Slope(None if self.first is None else self.first.to(dtype), self.second.to(dtype))

    def at(self, rows: Tensor) -> Tensor:
        """With respect to features given as rows, (positions, C)."""
        both = 2 * self.second
        return rows @ both if self.first is None else torch.addmm(self.first, rows, both)


def moments(features: Tensor, dtype: torch.dtype) -> Moments:
    """Of features (1, C, H, W), summed in `dtype`: a reduced precision of the network ends here."""
    channels = features.shape[1]
    first = torch.zeros(channels, dtype=dtype, device=features.device)
    second = torch.zeros((channels, channels), dtype=dtype, device=features.device)
    for band in bands(features):
        rows = as_rows(features[..., band, :].to(dtype))
        first += rows.sum(0)
        add_gram_(second, rows, features.dtype)
    return Moments(features.shape[-2] * features.shape[-1], first, second)


def as_rows(features: Tensor) -> Tensor:
    """Features (1, C, H, W) as (H · W, C)."""
    return features[0].permute(1, 2, 0).reshape(-1, features.shape[1])


def as_maps(rows: Tensor, like: Tensor) -> Tensor:
    """The reverse of `as_rows`, with the height and width of features (1, C, H, W)."""
    return rows.view(*like.shape[-2:], like.shape[1]).permute(2, 0, 1)[None]


def blended(parts: Sequence[Moments], shares: Sequence[float]) -> Moments:
    """The moments of several styles in given shares (adding up to 1), whatever their sizes."""
    return Moments(
        1,
        torch.stack([share * part.mean() for part, share in zip(parts, shares, strict=True)]).sum(0),
        torch.stack([share / part.positions * part.second for part, share in zip(parts, shares, strict=True)]).sum(0),
    )


@dataclass(frozen=True, slots=True, eq=False)
class TextbookStyle:
    """Mean squared difference of Gram matrices (Gatys et al. 2016, eq. 4, with a mean for the sum)."""

    gram: Tensor

    @classmethod
    def like(cls, target: Moments) -> "TextbookStyle":
        return cls(target.gram())

    def __call__(self, style: Moments) -> tuple[Tensor, Slope]:
        difference = style.gram() - self.gram
        channels = len(difference)
        scale = 2 / (channels**2 * channels * style.positions)
        return difference.square().mean(), Slope(None, scale * difference)


@dataclass(frozen=True, slots=True, eq=False)
class RelativeStyle:
    """Squared Wasserstein distance of normal distributions (Dowson & Landau 1982, eq. 4) per target second moment.

    About 1 for a picture that has nothing of the style, 0 for one with the same statistics. The mean squared
    difference of Gram matrices sees little but the strongest features; this distance weighs all of them.

    `mean` (C), `root` (C, rank) with root · rootᵀ the target's covariance up to a thousandth, `size` the second moment
    that distances are taken in. `offset` makes it 0 at the target: it is the trace of the target's covariance, but for
    what is added against rounding and for how far the root's iterations come.
    """

    mean: Tensor
    root: Tensor
    size: Tensor
    offset: Tensor

    @classmethod
    def like(cls, target: Moments) -> "RelativeStyle":
        covariance = target.covariance()
        mean = target.mean()
        size = mean.square().sum() + covariance.trace().clamp_min(0) + _TINY
        bare = cls(mean, principal_root(covariance), size, torch.zeros_like(size))
        own, _ = bare(target)
        return replace(bare, offset=-own * size)

    def __call__(self, style: Moments) -> tuple[Tensor, Slope]:
        mean, covariance = style.mean(), style.covariance()
        product = self.root.T @ covariance @ self.root
        # Of a plain picture a covariance is what rounding left of a difference, and may be negative.
        noise = _ROUNDINGS * torch.finfo(mean.dtype).eps * (mean.square().sum() + covariance.trace().abs())
        product.diagonal().add_(noise * self.root.square().sum())
        common, inverse = root_of(product)
        apart = mean - self.mean
        distance = apart.square().sum() + covariance.trace() - 2 * common.trace() + self.offset
        by_covariance = -(self.root @ inverse @ self.root.T) / self.size
        by_covariance.diagonal().add_(1 / self.size)
        by_mean = 2 * apart / self.size - 2 * (by_covariance @ mean)
        return distance / self.size, Slope(by_mean / style.positions, by_covariance / style.positions)


def principal_root(covariance: Tensor) -> Tensor:
    """The root (C, rank) of a covariance (C, C), without the directions that hardly vary. Waits for the device.

    They cost as much as the others and say nothing.
    """
    # On the CPU in float64: once a scale, and small eigenvalues are differences of large numbers. Metal has no float64.
    values, vectors = torch.linalg.eigh(covariance.cpu().double())
    values = values.clamp_min(0)
    left_out = int((values.cumsum(0) < _LEFT_OUT * values.sum()).sum())
    left_out = min(left_out, len(values) - 1)
    root: Tensor = vectors[:, left_out:] * values[left_out:].sqrt()
    return root.to(covariance)


_LEFT_OUT = 1e-3
"""Share of a style's variance that its relative loss may overlook."""

_ITERATIONS = 10

_ROUNDINGS = 16
"""How many of its type's roundings a covariance may be off by, in units of its second moment."""


def root_of(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """A^½ and A^-½ of a symmetric, positive semidefinite A.

    By coupled Newton-Schulz iterations (Higham 2008, eq. 6.35): matrix products only, so that a GPU need not wait for
    an eigensolver. Stopped early they leave out the smallest eigenvalues, which have no stable gradient.
    """
    scale = matrix.trace() + _TINY
    root = matrix / scale
    inverse = _correction(root)  # the first iteration's, where A^-½ is still the identity
    root = times(root, inverse)
    for _ in range(_ITERATIONS - 1):
        correction = _correction(times(inverse, root))
        root, inverse = times(root, correction), times(correction, inverse)
    return root * scale.sqrt(), inverse / scale.sqrt()


def _correction(matrix: Tensor) -> Tensor:
    """(3 I - A) / 2."""
    correction = -0.5 * matrix
    correction.diagonal().add_(1.5)
    return correction


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """Sum of squared differences from a target's features (1, C, H, W), times `scale`."""

    target: Tensor
    scale: Tensor

    @classmethod
    def textbook(cls, target: Tensor, dtype: torch.dtype) -> "Content":
        """The mean squared difference (Gatys et al. 2016, eq. 1, with a mean for the sum)."""
        return cls(target, torch.full((), 1 / target.numel(), dtype=dtype, device=target.device))

    @classmethod
    def relative(cls, target: Tensor, dtype: torch.dtype) -> "Content":
        """In units of the target's own variance: 1 for a picture that shows nothing of it."""
        total = torch.zeros((1, target.shape[1], 1, 1), dtype=dtype, device=target.device)
        for band in bands(target):
            total += target[..., band, :].to(dtype).sum((-2, -1), keepdim=True)
        mean = total / (target.shape[-2] * target.shape[-1])
        variance = torch.zeros((), dtype=dtype, device=target.device)
        for band in bands(target):
            variance += (target[..., band, :].to(dtype) - mean).square().sum()
        return cls(target, 1 / (variance + _TINY * target.numel()))


def total_variation(picture: Tensor, weight: Tensor, gradient: Tensor) -> Tensor:
    """Half the mean absolute differences of vertical and of horizontal neighbours (Mahendran & Vedaldi 2015).

    Of a picture (1, 3, H, W). Adds `weight` times its gradient to `gradient`; the value comes without the weight.
    """
    value = torch.zeros((), dtype=picture.dtype, device=picture.device)
    height, width = picture.shape[-2:]
    for axis, count in ((-2, (height - 1) * width), (-1, height * (width - 1))):
        scale = 0.5 / (picture.shape[1] * max(1, count))
        for band in bands(picture):
            # A vertical difference belongs to the band of its upper pixel.
            rows = slice(band.start, min(band.stop + 1, height)) if axis == -2 else band
            part = picture[..., rows, :]
            length = part.shape[axis] - 1
            if length < 1:
                continue
            difference = part.narrow(axis, 1, length) - part.narrow(axis, 0, length)
            value += scale * difference.abs().sum()
            push = difference.sign_().mul_(scale * weight)
            target = gradient[..., rows, :]
            target.narrow(axis, 1, length).add_(push)
            target.narrow(axis, 0, length).sub_(push)
    return value
