"""Maps with their border in one buffer, and what happens to them between two convolutions, by torch's own kernels.

`kernels.maps` has the same functions as `MapKernels` names them, in kernels of our own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto_server.recipes import Pooling

from . import losses
from .bands import bands
from .tiles import Block


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """Features or their gradient, (1, C, h, w), within a dense channels-last buffer (1, C, h + 2 border, w + 2 border).

    The buffer is convolved as it is, and its border is rewritten afterwards.
    """

    whole: Tensor
    border: int
    """1 or 0 pixels on each side."""

    @property
    def inner(self) -> Tensor:
        """(1, C, h, w)."""
        return self.whole[..., 1:-1, 1:-1] if self.border else self.whole

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width without the border."""
        height, width = self.whole.shape[-2:]
        return height - 2 * self.border, width - 2 * self.border


@dataclass(frozen=True, slots=True, eq=False)
class StylePull:
    """A style's part of the gradient at features f (C) of any position: f · `matrix` + `vector`.

    `matrix` (C, C) and `vector` (C) are in the type of the features.
    """

    matrix: Tensor
    vector: Tensor


class MapKernels(Protocol):
    """What happens to maps between two convolutions. Functions named with an underscore change their first argument."""

    def clear_(self, maps: Maps) -> None:
        """Zeros in the border: what is summed over the buffer is summed over the features."""

    def replicate_(self, maps: Maps) -> None:
        """Replicas of the outermost pixels in the border."""

    def back_through_relu_(self, gradient: Maps, maps: Maps, style: StylePull | None, own: Block) -> None:
        """From the gradient with respect to rectified `maps` and their border to that before the ReLU.

        What went to a replica is given to the pixel that it was taken from, and the border ends as zeros. A style
        pulls at the block that is owned.
        """

    def back_through_pooling(self, gradient: Maps, maps: Maps, pooling: Pooling) -> Maps:
        """From the gradient with respect to what became of rectified `maps` and its border to that before the ReLU."""

    def pull_to_target_(self, gradient: Tensor, features: Tensor, target: Tensor, factor: Tensor) -> Tensor:
        """Adds `factor` (features - target), all (1, C, h, w); the sum of squared differences, in `factor`'s type."""


def clear_(maps: Maps) -> None:
    """See `MapKernels`."""
    if maps.border:
        for border, _ in _borders(maps):
            border.zero_()


def replicate_(maps: Maps) -> None:
    """See `MapKernels`."""
    if maps.border:
        for border, outermost in _borders(maps):
            border.copy_(outermost)


def fold_(gradient: Maps) -> None:
    """Adds to the outermost pixels what went to their replicas, which stay as they are."""
    if gradient.border:
        for border, outermost in _borders(gradient):
            # Of a single row or column both borders are replicas.
            outermost.add_(border if border.shape == outermost.shape else border.sum(-2, keepdim=True))


def back_through_relu_(gradient: Maps, maps: Maps, style: StylePull | None, own: Block) -> None:
    """See `MapKernels`."""
    fold_(gradient)
    if style:
        pull_by_style_(gradient, maps, style, own)
    _mask_(gradient, maps)
    clear_(gradient)


def pull_by_style_(gradient: Maps, maps: Maps, style: StylePull, own: Block) -> None:
    """Adds a style's part where the block is owned. Leaves the border undefined."""
    target, features = gradient.inner[own], maps.inner[own]
    if features.shape == maps.inner.shape:  # rows of the whole buffer lie one after the other
        target, features = gradient.whole, maps.whole
    for band in bands(features):
        here = features[..., band, :]
        pull = torch.addmm(style.vector, losses.as_rows(here), style.matrix)
        target[..., band, :].add_(losses.as_maps(pull, here))


def back_through_pooling(gradient: Maps, maps: Maps, pooling: Pooling) -> Maps:
    """See `MapKernels`."""
    fold_(gradient)
    clear_(gradient)
    before = Maps(_unpooled(gradient, maps, pooling), maps.border)
    _mask_(before, maps)
    if any(side % 2 for side in maps.sides):  # the last windows took in the border
        fold_(before)
        clear_(before)
    return before


def pull_to_target_(gradient: Tensor, features: Tensor, target: Tensor, factor: Tensor) -> Tensor:
    """See `MapKernels`."""
    distance = torch.zeros_like(factor)
    for band in bands(features):
        apart = features[..., band, :].to(factor.dtype) - target[..., band, :]
        distance += apart.square().sum()
        gradient[..., band, :].add_(apart.mul_(factor).to(gradient.dtype))  # a sum of two types is many times as slow
    return distance


def pooled(maps: Maps, pooling: Pooling) -> Maps:
    """Half as high and wide, with anything in the border; that of maps with an odd side has to hold replicas."""
    padding = maps.border  # shifts the windows, so that the first one to count begins at the first inner pixel
    if pooling == "max":
        return Maps(F.max_pool2d(maps.whole, 2, padding=padding), maps.border)
    whole = F.avg_pool2d(maps.whole, 2, padding=padding, ceil_mode=True, count_include_pad=False)
    height, width = maps.sides
    if maps.border and (height % 2 or width % 2):  # the last window took in the border that the next one would begin at
        whole = F.pad(whole, (0, width % 2, 0, height % 2))
    return Maps(whole, maps.border)


def _unpooled(gradient: Maps, maps: Maps, pooling: Pooling) -> Tensor:
    windows = [2, 2], [2, 2], [maps.border] * 2
    if pooling == "max":
        # Which pixel was the largest is found a second time: kept, the indices would weigh as much as the maps.
        _, indices = torch.ops.aten.max_pool2d_with_indices(maps.whole, *windows)
        back = torch.ops.aten.max_pool2d_with_indices_backward
        unpooled: Tensor = back(gradient.whole, maps.whole, *windows, [1, 1], False, indices)
        return unpooled
    height, width = ((side + 1) // 2 + 2 * maps.border - maps.border * (side % 2) for side in maps.sides)
    from_windows = gradient.whole[..., :height, :width]
    unpooled = torch.ops.aten.avg_pool2d_backward(from_windows, maps.whole, *windows, True, False, None)
    return unpooled


def _mask_(gradient: Maps, maps: Maps) -> None:
    torch.ops.aten.threshold_backward.grad_input(gradient.whole, maps.whole, 0, grad_input=gradient.whole)


def _borders(maps: Maps) -> Iterator[tuple[Tensor, Tensor]]:
    """The border and the outermost pixels beside it: of rows, then of columns with the corners."""
    for whole in (maps.whole, maps.whole.mT):
        side = whole.shape[-2] - 2
        yield whole[..., :: side + 1, :], whole[..., 1 : side + 1 : max(1, side - 1), :]
