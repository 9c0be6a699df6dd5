"""A network over pictures of any size: whole where there is room for all of the maps, or else tile by tile."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from . import losses
from .losses import Moments
from .tiles import Tile, reach_px, tiles
from .vgg import Maps, Network


@dataclass(frozen=True, slots=True, eq=False)
class TiledNetwork:
    """`tile_px` is the longest side of a tile's own block; None takes every picture in one piece."""

    network: Network
    tile_px: int | None = None

    def in_one_piece(self, picture: Tensor) -> bool:
        return len(self.pieces(picture)) == 1

    def pieces(self, picture: Tensor) -> Sequence[Tile]:
        """The tiles of a picture (1, 3, H, W), at least one."""
        height, width = picture.shape[-2:]
        side = self.tile_px or max(height, width)
        return list(tiles(height, width, side, reach_px(self.network.layers)))

    def forward(self, picture: Tensor, tile: Tile, *, keep: bool, layers: Collection[str] | None = None) -> Maps:
        """The maps of what a tile sees."""
        return self.network.forward(picture[..., tile.rows, tile.columns], keep=keep, layers=layers)

    @torch.no_grad()
    def moments(self, picture: Tensor, layers: Collection[str]) -> dict[str, Moments]:
        """Moments by layer of a normalised picture (1, 3, H, W)."""
        found: dict[str, Moments] = {}
        for tile in self.pieces(picture):
            add_moments(found, self.forward(picture, tile, keep=False, layers=layers), layers, tile, picture.dtype)
        return found

    @torch.no_grad()
    def features(self, picture: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Features (1, C, h, w) by layer of a normalised picture (1, 3, H, W), in the network's own type."""
        found: dict[str, Tensor] = {}
        for tile in self.pieces(picture):
            maps = self.forward(picture, tile, keep=False, layers=layers)
            for layer, seen in maps.features.items():
                if layer not in found:
                    sides = self.network.sides(layer, picture.shape[-2], picture.shape[-1])
                    empty = torch.empty((1, seen.shape[1], *sides), dtype=seen.dtype, device=seen.device)
                    found[layer] = empty.contiguous(memory_format=torch.channels_last)
                tile.part_of_whole(layer, found[layer]).copy_(tile.own_part(layer, seen))
        return found


def add_moments(found: dict[str, Moments], maps: Maps, layers: Collection[str], tile: Tile, dtype: torch.dtype) -> None:
    """Adds those of a tile's own part to what was found in the tiles before it."""
    for layer in layers:
        part = losses.moments(tile.own_part(layer, maps.features[layer]), dtype)
        found[layer] = found[layer] + part if layer in found else part
