"""How large tiles may be: as large as the device's free memory allows, and no larger than helps."""

import math
from collections.abc import Sequence

from impasto_server.recipes import Recipe, Scale

from .memory import free_memory_bytes
from .network import Network
from .tiles import ALIGNMENT_PX, exceeds_one_piece, reach_px

_USUAL_PX = {"cpu": 1024}
"""A CPU's memory is shared, and its caches hold no larger tile's maps either."""
_USUAL_GPU_PX = 4096
"""What a tile of 1024 px sees is a third more than what it owns, of this a twelfth."""
SMALLEST_TILE_PX = 64

_STATE_BYTES = 56
"""About what a pixel of the picture takes whatever tiles and optimiser: picture, gradient, step, targets."""
SHARES = {"cpu": 0.25, "cuda": 0.85, "xpu": 0.85, "mps": 0.5}
"""Of the free memory. A CPU's is everybody's: the editor that sent the picture has its own copy of it."""


class TileSides:
    """Longest sides of a run's tiles, scale by scale; None: in one piece.

    All are fixed when the run begins, and kept by its checkpoints: rounding differs between one tiling and another, and
    what memory happens to be free later must not change the picture.
    """

    def __init__(self, sides: Sequence[int | None], scales: Sequence[Scale], bound_px: int | None = None) -> None:
        self._scales = scales
        self._sides = [side if bound_px is None else min(side or bound_px, bound_px) for side in sides]

    @classmethod
    def fitting(
        cls, scales: Sequence[Scale], network: Network, recipe: Recipe, bound_px: int | None = None
    ) -> "TileSides":
        """For a run that begins: the recipe's side, or as large as free memory allows, none above `bound_px`."""
        free = free_memory_bytes(network.device)
        sides = [recipe.tile_px or side_px(size, network, recipe, free) for size in scales]
        return cls(sides, scales, bound_px)

    def __getitem__(self, scale: int) -> int | None:
        return self._sides[scale]

    def all(self) -> tuple[int | None, ...]:
        return tuple(self._sides)

    def shrink(self, scale: int) -> bool:
        """After running out of memory: the next smaller side, for the rest of the run. False: there is none."""
        bound = smaller(self._sides[scale], self._scales[scale])
        if bound is not None:
            self._sides[scale:] = [min(side or bound, bound) for side in self._sides[scale:]]
        return bound is not None


def side_px(size: Scale, network: Network, recipe: Recipe, free_bytes: int | None) -> int | None:
    """Longest side of a tile for a picture of this size; None if there is room for the whole."""
    device, bytes_per_pixel = network.device, network.bytes_per_pixel()
    whole = not exceeds_one_piece(size.height_px, size.width_px)
    usual = _USUAL_PX.get(device.type, _USUAL_GPU_PX)
    if free_bytes is None:
        return None if whole else usual
    pixels = size.height_px * size.width_px
    room = free_bytes * SHARES.get(device.type, 0.5) - (
        0 if device.type == "cpu" else pixels * (_STATE_BYTES + _optimiser_bytes(size, recipe))
    )
    if whole and pixels * bytes_per_pixel <= room:
        return None
    around = 2 * math.ceil(reach_px(network.layers) / ALIGNMENT_PX) * ALIGNMENT_PX
    side = (math.isqrt(max(0, int(room / bytes_per_pixel))) - around) // ALIGNMENT_PX * ALIGNMENT_PX
    return max(SMALLEST_TILE_PX, min(side, usual))


def smaller(tile: int | None, size: Scale) -> int | None:
    """The next smaller tile after one that didn't fit; None if there is none."""
    side = min(tile or max(size.height_px, size.width_px), max(size.height_px, size.width_px))
    if side <= SMALLEST_TILE_PX:
        return None
    return max(SMALLEST_TILE_PX, math.ceil(side / 2 / ALIGNMENT_PX) * ALIGNMENT_PX)


def needed_bytes(size: Scale, bytes_per_pixel: float, recipe: Recipe) -> float:
    """What a scale is expected to take of a device's memory in one piece, the network's weights apart."""
    return size.height_px * size.width_px * (bytes_per_pixel + _STATE_BYTES + _optimiser_bytes(size, recipe))


def _optimiser_bytes(size: Scale, recipe: Recipe) -> int:
    pictures = 2 if recipe.optimiser == "adam" else 2 * recipe.remembered_in(size)
    return 12 * pictures
