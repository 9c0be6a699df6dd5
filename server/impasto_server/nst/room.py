"""How large a tile may be: as large as the device's free memory allows, and no larger than helps."""

import math

import torch

from impasto_server.recipes import Recipe, Scale

from .devices import free_memory_bytes
from .tiles import ALIGNMENT_PX

USUAL_TILE_PX = 1024
"""Larger ones save little: their halo is a small part of them already."""
SMALLEST_TILE_PX = 64

_STATE_BYTES = 56
"""About what a pixel of the picture takes whatever tiles and optimiser: picture, gradient, step, targets."""
_SHARES = {"cpu": 0.25, "cuda": 0.85, "mps": 0.5}
"""Of the free memory. A CPU's is everybody's: the editor that sent the picture has its own copy of it."""


def tile_px(size: Scale, bytes_per_pixel: float, device: torch.device, recipe: Recipe) -> int | None:
    """Longest side of a tile for a picture of this size; None if there is room for the whole."""
    free = free_memory_bytes(device)
    if free is None:
        return None
    pixels = size.height_px * size.width_px
    room = free * _SHARES.get(device.type, 0.5) - (
        0 if device.type == "cpu" else pixels * (_STATE_BYTES + _optimiser_bytes(size, recipe))
    )
    if pixels * bytes_per_pixel <= room:
        return None
    side = math.isqrt(max(0, int(room / bytes_per_pixel))) // ALIGNMENT_PX * ALIGNMENT_PX
    return max(SMALLEST_TILE_PX, min(side, USUAL_TILE_PX))


def _optimiser_bytes(size: Scale, recipe: Recipe) -> int:
    pictures = 2 if recipe.optimiser == "adam" else 2 * recipe.remembered_in(size)
    return 12 * pictures


def smaller(tile: int | None, size: Scale) -> int | None:
    """The next smaller tile after one that didn't fit; None if there is none."""
    side = min(tile or max(size.height_px, size.width_px), max(size.height_px, size.width_px))
    if side <= SMALLEST_TILE_PX:
        return None
    return max(SMALLEST_TILE_PX, math.ceil(side / 2 / ALIGNMENT_PX) * ALIGNMENT_PX)
