"""Content, style and total variation, as the textbook has them and relative to their targets, with their gradients.

Style works on `Moments`, sums over positions, so that a picture may be taken in one piece or tile by tile. Every
loss gives its value and its slope in closed form; nothing here waits for the device.
"""

import functools
import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from .bands import bands
from .products import sums
from .roots import roots_of
from .shortcuts import NO_SHORTCUTS, Shortcuts

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
    """The gradient of a loss with respect to moments over their positions: `first` (C), or None for zeros; `second`
    (C, C), symmetric.
    """

    first: Tensor | None
    second: Tensor
    positions: int

    def at(self, rows: Tensor) -> Tensor:
        """With respect to features given as rows, (positions, C)."""
        matrix, vector = self.affine(rows.dtype)
        return torch.addmm(vector, rows, matrix)

    def affine(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """With respect to features f (C) of any position it is f · matrix + vector: these two, in that type."""
        matrix = torch.empty_like(self.second, dtype=dtype)
        torch.mul(self.second, 2 / self.positions, out=matrix)
        if self.first is None:
            return matrix, torch.zeros_like(matrix[0])
        vector = torch.empty_like(self.first, dtype=dtype)
        return matrix, torch.mul(self.first, 1 / self.positions, out=vector)


def moments(features: Tensor, dtype: torch.dtype) -> Moments:
    """Of features (1, C, H, W), summed in `dtype`: a reduced precision of the network ends here."""
    # On a GPU nothing has to be copied of maps that lie position after position, and so no band be kept small.
    whole = features.is_cuda and features.is_contiguous(memory_format=torch.channels_last)
    parts = [features] if whole or not features.numel() else [features[..., band, :] for band in bands(features)]
    found = (Moments(part.shape[-2] * part.shape[-1], *sums(as_rows(part), dtype)) for part in parts)
    return functools.reduce(operator.add, found)


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


class StyleLoss(Protocol):
    """A loss of several layers' moments, summed over the layers."""

    @classmethod
    def like(cls, targets: Mapping[str, Moments]) -> Self:
        """That of a style with these moments."""

    @property
    def layers(self) -> Collection[str]:
        """Those that it looks at."""

    def __call__(self, style: Mapping[str, Moments], weight: Tensor) -> tuple[Tensor, dict[str, Slope]]:
        """Its value, and by layer the slope of `weight` times it."""


@dataclass(frozen=True, slots=True, eq=False)
class TextbookStyle:
    """Mean squared difference of Gram matrices (Gatys et al. 2016, eq. 4, with a mean for the sum)."""

    grams: Mapping[str, Tensor]

    @classmethod
    def like(cls, targets: Mapping[str, Moments]) -> Self:
        return cls({layer: target.gram() for layer, target in targets.items()})

    @property
    def layers(self) -> Collection[str]:
        return self.grams.keys()

    def __call__(self, style: Mapping[str, Moments], weight: Tensor) -> tuple[Tensor, dict[str, Slope]]:
        values, slopes = [], {}
        for layer, gram in self.grams.items():
            difference = style[layer].gram() - gram
            channels = len(difference)
            values.append(difference.square().mean())
            slopes[layer] = Slope(None, difference.mul_(weight).mul_(2 / channels**3), style[layer].positions)
        return torch.stack(values).sum(), slopes


@dataclass(frozen=True, slots=True, eq=False)
class RelativeStyle:
    """Squared Wasserstein distance of normal distributions (Dowson & Landau 1982, eq. 4) per target second moment.

    About 1 for a layer that has nothing of the style, 0 for one with the same statistics. The mean squared
    difference of Gram matrices sees little but the strongest features; this distance weighs all of them.
    """

    batches: tuple["RelativeBatch", ...]

    @classmethod
    def like(cls, targets: Mapping[str, Moments]) -> Self:
        # Narrow layers side by side, with zeros around them: on a GPU many small products take as long as one. A CPU
        # would have to compute all those zeros.
        batches: dict[object, list[str]] = {}
        for layer, target in targets.items():
            channels = len(target.first)
            alone = target.first.device.type == "cpu"
            batches.setdefault(layer if alone else max(channels, _NARROW), []).append(layer)
        return cls(tuple(RelativeBatch.like({layer: targets[layer] for layer in batch}) for batch in batches.values()))

    @property
    def layers(self) -> Collection[str]:
        return [layer for batch in self.batches for layer in batch.layers]

    def __call__(self, style: Mapping[str, Moments], weight: Tensor) -> tuple[Tensor, dict[str, Slope]]:
        values: list[Tensor] = []
        slopes: dict[str, Slope] = {}
        for batch in self.batches:
            value, some = batch([style[layer] for layer in batch.layers], weight)
            values.append(value)
            slopes |= dict(zip(batch.layers, some, strict=True))
        return torch.cat(values).sum(), slopes


_NARROW = 256
"""Channels of a layer that keep a GPU less than busy."""

_LEFT_OUT = 1e-3
"""Share of a style's variance that its relative loss may overlook."""

_ROUNDINGS = 16
"""How many of its type's roundings a covariance may be off by, in units of its second moment."""


@dataclass(frozen=True, slots=True, eq=False)
class RelativeBatch:
    """The relative losses of L layers side by side, C channels and R directions wide, with zeros where one is narrower.

    `mean` (L, C), `root` (L, C, R) with root · rootᵀ the target's covariance up to a thousandth, `noise` (L, R) what is
    added against rounding for each unit of the second moment, `size` (L) the target's second moment, that distances are
    taken in. `offset` (L) makes them 0 at the target: it is the trace of the target's covariance, but for what is added
    against rounding and for how far the root's iterations come.
    """

    layers: tuple[str, ...]
    mean: Tensor
    root: Tensor
    noise: Tensor
    size: Tensor
    offset: Tensor

    @classmethod
    def like(cls, targets: Mapping[str, Moments]) -> "RelativeBatch":
        given = list(targets.values())
        mean, covariance, second_moment = _stacked(given)
        roots = [principal_root(target.covariance()) for target in given]
        root = covariance.new_zeros((*mean.shape, max(each.shape[1] for each in roots)))
        noise = torch.zeros_like(root[:, 0])
        for index, each in enumerate(roots):
            root[index, : each.shape[0], : each.shape[1]] = each
            noise[index, : each.shape[1]] = _ROUNDINGS * torch.finfo(root.dtype).eps * each.square().sum()
        size = second_moment + _TINY
        bare = cls(tuple(targets), mean, root, noise, size, torch.zeros_like(size))
        own, _ = bare(given, torch.ones_like(size[0]))
        return replace(bare, offset=-own * size)

    def __call__(self, style: Sequence[Moments], weight: Tensor) -> tuple[Tensor, list[Slope]]:
        """The values (L), and the slopes of `weight` times them."""
        mean, covariance, second_moment = _stacked(style)
        product = torch.bmm(torch.bmm(self.root.mT, covariance), self.root)
        # Of a plain picture a covariance is what rounding left of a difference, and may be negative.
        product.diagonal(dim1=1, dim2=2).addcmul_(self.noise, second_moment[:, None])
        common, inverse = roots_of(product)
        apart = mean - self.mean
        distance = apart.square().sum(1) + _traces(covariance) - 2 * _traces(common) + self.offset
        share = (weight / self.size)[:, None]
        by_covariance = torch.bmm(torch.bmm(self.root, inverse.mul_(-share[:, None])), self.root.mT)
        by_covariance.diagonal(dim1=1, dim2=2).add_(share)
        by_mean = 2 * (share * apart - torch.bmm(by_covariance, mean[..., None])[..., 0])
        return distance / self.size, [
            Slope(first[: len(each.first)], second[: len(each.first), : len(each.first)], each.positions)
            for first, second, each in zip(by_mean, by_covariance, style, strict=True)
        ]


def _stacked(given: Sequence[Moments]) -> tuple[Tensor, Tensor, Tensor]:
    """Means (L, C) and covariances (L, C, C) with zeros around narrower ones, and second moments (L)."""
    channels = max(len(each.first) for each in given)
    mean = given[0].first.new_zeros((len(given), channels))
    products = mean.new_zeros((*mean.shape, channels))
    for first, second, each in zip(mean, products, given, strict=True):
        own = slice(len(each.first))
        torch.mul(each.first, 1 / each.positions, out=first[own])
        torch.mul(each.second, 1 / each.positions, out=second[own, own])
    second_moment = _traces(products)
    return mean, products.addcmul_(mean[:, :, None], mean[:, None], value=-1), second_moment


def _traces(matrices: Tensor) -> Tensor:
    return matrices.diagonal(dim1=1, dim2=2).sum(1)


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


def total_variation(picture: Tensor, weight: Tensor, gradient: Tensor, shortcuts: Shortcuts = NO_SHORTCUTS) -> Tensor:
    """Half the mean absolute differences of vertical and of horizontal neighbours (Mahendran & Vedaldi 2015).

    Of a picture (1, 3, H, W). Adds `weight` times its gradient to `gradient`; the value comes without the weight.
    """
    if shortcuts.own_kernels:
        from .kernels import variation  # needs Triton

        return variation.total_variation(picture, weight, gradient)
    values = []
    height, width = picture.shape[-2:]
    for axis, count in ((-2, (height - 1) * width), (-1, height * (width - 1))):
        if not count:
            continue
        scale = 0.5 / (picture.shape[1] * count)
        push = scale * weight
        for band in bands(picture):
            # A vertical difference belongs to the band of its upper pixel.
            rows = slice(band.start, min(band.stop + 1, height)) if axis == -2 else band
            part, target = picture[..., rows, :], gradient[..., rows, :]
            length = part.shape[axis] - 1
            if length < 1:
                continue
            difference = part.narrow(axis, 1, length) - part.narrow(axis, 0, length)
            # Not vector_norm: in float32 on a CPU it adds up one number after the other, and loses two digits.
            values.append(scale * difference.abs().sum())
            target.narrow(axis, 1, length).addcmul_(difference.sign_(), push)
            target.narrow(axis, 0, length).addcmul_(difference, push, value=-1)
    return torch.stack(values).sum() if values else picture.new_zeros(())
