"""A picture in tiles: each owns a block of it and sees far enough around that its own features are exact.

Blocks start at multiples of 16, where all of VGG-19's poolings start anew. What a convolution pads with at a tile's
inner edge is wrong and spoils features as far as they reach; no feature that the tile owns reaches that far.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from torch import Tensor

from impasto_server.recipes import CONVOLUTIONS

ALIGNMENT_PX = 16
"""VGG-19 halves a picture four times on the way to its fifth block."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Rows and columns that a tile owns and those that it sees, in pixels of the whole picture."""

    own_rows: slice
    own_columns: slice
    rows: slice
    columns: slice

    def own_part(self, layer: str, maps: Tensor) -> Tensor:
        """Of a layer's maps (1, C, h, w) of what the tile sees, what it owns."""
        return self._part(layer, maps, self.rows.start, self.columns.start)

    def part_of_whole(self, layer: str, maps: Tensor) -> Tensor:
        """Of a layer's maps (1, C, h, w) of the whole picture, what the tile owns."""
        return self._part(layer, maps, 0, 0)

    def _part(self, layer: str, maps: Tensor, top: int, left: int) -> Tensor:
        rows = _halved(self.own_rows, self.rows, top, layer, maps.shape[-2])
        columns = _halved(self.own_columns, self.columns, left, layer, maps.shape[-1])
        return maps[..., rows, columns]


def halvings(layer: str) -> int:
    """How many poolings lie before a layer."""
    return int(layer[4]) - 1


def reach_px(layers: Collection[str]) -> int:
    """How far the deepest of the layers sees beyond the block of pixels that it lies over: 70 for `conv5_1`."""
    deepest = max(CONVOLUTIONS.index(layer.replace("relu", "conv")) for layer in layers)
    return sum(2 ** halvings(name) for name in CONVOLUTIONS[: deepest + 1])


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
