"""A network over pictures of any size: whole where there is room for all of the maps, or else tile by tile."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from . import losses
from .losses import Moments
from .maps import Maps
from .network import Network, See
from .tiles import Tile, exceeds_one_piece, largest_side_px, reach_px, tiles


@dataclass(frozen=True, slots=True, eq=False)
class TiledNetwork:
    """`tile_px` is the longest side of a tile's own block; None takes every picture in one piece."""

    network: Network
    tile_px: int | None = None

    def in_one_piece(self, picture: Tensor) -> bool:
        return len(self.pieces(picture)) == 1

    def pieces(self, picture: Tensor) -> Sequence[Tile]:
        """The tiles of a picture (1, 3, H, W), at least one; none with maps of more numbers than kernels can count."""
        height, width = picture.shape[-2:]
        layers = self.network.layers
        longest = max(height, width)
        side = self.tile_px or longest
        if side < longest or exceeds_one_piece(height, width):
            side = min(side, largest_side_px(layers))
        return list(tiles(height, width, side, reach_px(layers)))

    def forward(
        self,
        picture: Tensor,
        tile: Tile,
        *,
        keep: bool,
        see: See | None = None,
        layers: Collection[str] | None = None,
    ) -> dict[str, Maps]:
        """As `Network.forward` has it, of what a tile sees."""
        return self.network.forward(picture[..., tile.rows, tile.columns], keep=keep, see=see, layers=layers)

    @torch.no_grad()
    def moments(self, picture: Tensor, layers: Collection[str]) -> dict[str, Moments]:
        """Moments by layer of a normalised picture (1, 3, H, W)."""
        found: dict[str, Moments] = {}
        for tile in self.pieces(picture):

            def see(layer: str, maps: Maps, tile: Tile = tile) -> None:
                add_moments(found, layer, maps, tile, picture.dtype)

            self.forward(picture, tile, keep=False, see=see, layers=layers)
        return found

    @torch.no_grad()
    def features(self, picture: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Features (1, C, h, w) by layer of a normalised picture (1, 3, H, W), in the network's own type."""
        found: dict[str, Tensor] = {}
        for tile in self.pieces(picture):

            def see(layer: str, maps: Maps, tile: Tile = tile) -> None:
                if layer not in found:
                    channels, sides = maps.whole.shape[1], self.network.sides(layer, *picture.shape[-2:])
                    found[layer] = maps.whole.new_empty((1, *sides, channels)).permute(0, 3, 1, 2)
                tile.part_of_whole(layer, found[layer]).copy_(tile.own_part(layer, maps.inner))

            self.forward(picture, tile, keep=False, see=see, layers=layers)
        return found


def add_moments(found: dict[str, Moments], layer: str, maps: Maps, tile: Tile, dtype: torch.dtype) -> None:
    """Adds those of a tile's own part of a layer to what was found in the tiles before it; zeros are in the border."""
    own = tile.own_part(layer, maps.inner)
    # Rows of the whole buffer lie one after the other, and its border adds nothing.
    summed = maps.whole if own.shape == maps.inner.shape else own
    part = replace(losses.moments(summed, dtype), positions=own.shape[-2] * own.shape[-1])
    found[layer] = found[layer] + part if layer in found else part
