"""Raking light: how thick paint, grout or lead looks when a lamp stands at the upper left."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from tools.gallery.grid import Array

_LAMP = np.array([-0.55, -0.62, 0.56], np.float32)


def lit(colour: Array, height_px: Array, *, gloss: float = 0.1, ambient: float = 0.4, soften_px: float = 0.6) -> Array:
    """The colour of a surface of this height under the lamp; a flat one keeps its colour exactly."""
    height = gaussian_filter(height_px, soften_px)
    down, right = np.gradient(height)
    length = np.sqrt(1 + right**2 + down**2)
    facing = np.clip((-right * _LAMP[0] - down * _LAMP[1] + _LAMP[2]) / length, 0, None)
    shade = ambient + (1 - ambient) * facing / _LAMP[2]
    half = _LAMP + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    glint = np.clip((-right * half[0] - down * half[1] + half[2]) / length, 0, 1) ** 24 - half[2] ** 24
    light = np.where(shade > 1, 1 + 0.75 * (shade - 1), shade)
    lit_colour = colour * light[..., None] + gloss * np.clip(glint, 0, 1)[..., None]
    return np.asarray(np.clip(lit_colour, 0, 1), np.float32)
