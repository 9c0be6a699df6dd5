"""Pigments: palettes by their hex names, ramps between them, and the unevenness of paint mixed by hand."""

from __future__ import annotations

import numpy as np

from tools.gallery.grid import Array, Rng

_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)
_FROM_YIQ = np.linalg.inv(_TO_YIQ).astype(np.float32)


def palette(colours: str) -> Array:
    """Colours (n, 3) in 0..1 from hex numbers set apart by spaces."""
    return np.array([[int(name[i : i + 2], 16) / 255 for i in (0, 2, 4)] for name in colours.split()], np.float32)


def ramp(colours: str, value: Array) -> Array:
    """The palette as a scale from 0 to 1, read at every value: (...,) in, (..., 3) out."""
    stops = palette(colours)
    at = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(value, at, stops[:, channel]) for channel in range(3)], axis=-1).astype(np.float32)


def cover(picture: Array, mask: Array, colour: Array) -> None:
    """Lay a colour, (3,) or a whole picture, over `picture` in place where `mask` is 1."""
    picture += mask[..., None] * (colour - picture)


def vary(colours: Array, rng: Rng, *, hue: float, chroma: float, light: float) -> Array:
    """Each colour (n, 3) off by a little: deviations of hue in radians, of chroma and lightness as fractions."""
    count = len(colours)
    yiq = colours @ _TO_YIQ.T
    turn = rng.normal(0, hue, count)
    strength = np.maximum(1 + rng.normal(0, chroma, count), 0)
    i, q = yiq[:, 1].copy(), yiq[:, 2].copy()
    yiq[:, 1] = strength * (i * np.cos(turn) - q * np.sin(turn))
    yiq[:, 2] = strength * (i * np.sin(turn) + q * np.cos(turn))
    yiq[:, 0] = yiq[:, 0] * (1 + rng.normal(0, light, count)) + rng.normal(0, light * 0.15, count)
    return np.clip(yiq @ _FROM_YIQ.T, 0, 1).astype(np.float32)


def saturated(picture: Array, factor: float) -> Array:
    """The picture with its chroma times `factor`."""
    grey = picture @ _TO_YIQ[0]
    return np.asarray(np.clip(grey[..., None] + factor * (picture - grey[..., None]), 0, 1), np.float32)
