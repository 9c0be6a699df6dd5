"""A picture in tiles: each owns a block of it and sees far enough around that its own features are exact.

Blocks start at multiples of 16, where all of VGG-19's poolings start anew. What a convolution pads with at a tile's
inner edge is wrong and spoils features as far as they reach; no feature that the tile owns reaches that far.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from types import EllipsisType

from torch import Tensor

from impasto_server.recipes import CONVOLUTIONS

ALIGNMENT_PX = 16
"""VGG-19 halves a picture four times on the way to its fifth block."""


Block = tuple[EllipsisType, slice, slice]
"""Rows and columns of maps (1, C, h, w), as an index."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Rows and columns that a tile owns and those that it sees, in pixels of the whole picture."""

    own_rows: slice
    own_columns: slice
    rows: slice
    columns: slice

    def own_part(self, layer: str, maps: Tensor) -> Tensor:
        """Of a layer's maps (1, C, h, w) of what the tile sees, what it owns."""
        return maps[self.own_block(layer, maps.shape[-2], maps.shape[-1])]

    def own_block(self, layer: str, height: int, width: int) -> Block:
        """Of a layer's maps of what the tile sees, height × width, the block that it owns."""
        return self._block(layer, height, width, self.rows.start, self.columns.start)

    def part_of_whole(self, layer: str, maps: Tensor) -> Tensor:
        """Of a layer's maps (1, C, h, w) of the whole picture, what the tile owns."""
        return maps[self._block(layer, maps.shape[-2], maps.shape[-1], 0, 0)]

    def _block(self, layer: str, height: int, width: int, top: int, left: int) -> Block:
        rows = _halved(self.own_rows, self.rows, top, layer, height)
        columns = _halved(self.own_columns, self.columns, left, layer, width)
        return ..., rows, columns


def halvings(layer: str) -> int:
    """How many poolings lie before a layer."""
    return int(layer[4]) - 1


def reach_px(layers: Collection[str]) -> int:
    """How far the deepest of the layers sees beyond the block of pixels that it lies over: 70 for `conv5_1`."""
    deepest = max(CONVOLUTIONS.index(layer.replace("relu", "conv")) for layer in layers)
    return sum(2 ** halvings(name) for name in CONVOLUTIONS[: deepest + 1])


_MOST_NUMBERS = 2**31 - 1
"""Of one tensor: several kernels count with 32 bits."""
_NUMBERS_PER_PIXEL = 64
"""In the largest maps, the first block's; poolings quarter what they see before channels double."""
_BORDER_PX = 2
"""Both sides' of maps that have one."""


def exceeds_one_piece(height: int, width: int) -> bool:
    """Whether maps of a picture have more numbers than every kernel can count."""
    return _NUMBERS_PER_PIXEL * (height + _BORDER_PX) * (width + _BORDER_PX) > _MOST_NUMBERS


def largest_side_px(layers: Collection[str]) -> int:
    """The longest side of a tile, a multiple of 16, whose maps of all that it sees every kernel can count."""
    seen = math.isqrt(_MOST_NUMBERS // _NUMBERS_PER_PIXEL) - _BORDER_PX
    return (seen - 2 * _rounded_up(reach_px(layers))) // ALIGNMENT_PX * ALIGNMENT_PX


def tiles(height: int, width: int, side: int, reach: int) -> Iterator[Tile]:
    """Tiles of a picture, row by row: none owns more than `side` pixels a side (at least 16), each sees at least
    `reach` pixels around that, as far as the picture goes.
    """
    halo = _rounded_up(reach)
    for own_rows, rows in _spans(height, side, halo):
        for own_columns, columns in _spans(width, side, halo):
            yield Tile(own_rows, own_columns, rows, columns)


def _spans(length: int, side: int, halo: int) -> Iterator[tuple[slice, slice]]:
    """Own and seen spans along one axis, as equal as the alignment allows."""
    if length <= side:
        yield slice(0, length), slice(0, length)
        return
    side = max(ALIGNMENT_PX, side // ALIGNMENT_PX * ALIGNMENT_PX)
    step = _rounded_up(math.ceil(length / math.ceil(length / side)))
    for start in range(0, length, step):
        end = min(start + step, length)
        yield slice(start, end), slice(max(0, start - halo), min(end + halo, length))


def _halved(own: slice, seen: slice, origin: int, layer: str, length: int) -> slice:
    times = halvings(layer)
    # A tile that sees no further than it owns lies at the picture's far edge, where poolings round as they may.
    end = length if own.stop == seen.stop else (own.stop - origin) >> times
    return slice((own.start - origin) >> times, end)


def _rounded_up(pixels: int) -> int:
    return math.ceil(pixels / ALIGNMENT_PX) * ALIGNMENT_PX
