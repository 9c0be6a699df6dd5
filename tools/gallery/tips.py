"""What touches the canvas: the print that a bristle brush, a palette knife, a gouge or a dab leaves in one stroke."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from tools.gallery.grid import Array, Rng

ALONG, ACROSS = 160, 48


@dataclass(frozen=True)
class Tip:
    """Maps (ALONG, ACROSS) of one stroke: how much paint sticks, how high it stands, how its colour runs (-1..1)."""

    cover: Array
    height: Array
    streak: Array


def bristles(rng: Rng, count: int = 16, *, dryness: float = 0.35) -> list[Tip]:
    """Flat bristle brushes: ridges along the stroke, a round start and a tail where the bristles lift one by one."""
    return [_bristle(rng, dryness) for _ in range(count)]


def knives(rng: Rng, count: int = 16) -> list[Tip]:
    """Palette knives: a smooth slab of half-mixed colours with a lip of paint at its sides and end."""
    return [_knife(rng) for _ in range(count)]


def gouges(rng: Rng, count: int = 16) -> list[Tip]:
    """Carving gouges: a lens-shaped cut that enters fast and leaves slowly, with a chipped edge."""
    return [_gouge(rng) for _ in range(count)]


def dabs(rng: Rng, count: int = 16) -> list[Tip]:
    """The end of a small round brush, pressed once: a rounded touch, high in the middle."""
    return [_dab(rng) for _ in range(count)]


def _axes() -> tuple[Array, Array]:
    s = np.linspace(0, 1, ALONG, dtype=np.float32)[:, None]
    t = np.linspace(-1, 1, ACROSS, dtype=np.float32)[None, :]
    return s, t


def _grain(rng: Rng, along: float, across: float) -> Array:
    field = gaussian_filter(rng.standard_normal((ALONG, ACROSS)), (along, across), mode="reflect")
    return np.asarray(field / field.std(), np.float32)


def _bristle(rng: Rng, dryness: float) -> Tip:
    s, t = _axes()
    hairs = 0.45 * _grain(rng, 60, 1.1) + 0.7 * _grain(rng, 30, 3.0)
    start = 0.09 * np.sqrt(np.clip(1 - t**2, 0, 1)) - 0.1 + 0.012 * _grain(rng, 60, 1)
    lift = 0.93 - 0.18 * np.abs(t) - dryness * 0.5 * np.clip(-hairs, 0, 1.5)
    edge = 0.9 + 0.07 * _grain(rng, 14, 6)
    cover = (
        np.clip((s + start) / 0.02, 0, 1) * np.clip((lift - s) / 0.05, 0, 1) * np.clip((edge - np.abs(t)) / 0.12, 0, 1)
    )
    gaps = np.clip(1.35 + hairs - 2.2 * dryness * s**2, 0, 1)
    lip = 0.5 * np.exp(-(((np.abs(t) - 0.78) / 0.13) ** 2)) + 0.5 * np.exp(-(((s - 0.9) / 0.06) ** 2))
    height = cover * (0.55 + 0.26 * hairs + lip)
    return Tip((cover * gaps).astype(np.float32), height.astype(np.float32), np.clip(hairs / 1.6, -1, 1))


def _knife(rng: Rng) -> Tip:
    s, t = _axes()
    skew = rng.uniform(-0.12, 0.12) * t
    ragged = 0.02 * _grain(rng, 4, 3)
    start = np.clip((s - 0.04 - skew * 0.5 + ragged) / 0.012, 0, 1)
    end = np.clip((0.95 + skew + 2.4 * ragged - s) / 0.012, 0, 1)
    side = np.clip((0.93 + 0.03 * _grain(rng, 12, 4) - np.abs(t)) / 0.05, 0, 1)
    cover = start * end * side
    skips = np.clip(2.0 + _grain(rng, 10, 3) - 1.2 * s, 0, 1)
    lip = np.exp(-(((np.abs(t) - 0.88) / 0.07) ** 2)) * rng.uniform(0.4, 1.1)
    lip = lip + rng.uniform(0.5, 1.3) * np.exp(-(((s - 0.91 - skew) / 0.035) ** 2))
    scrape = 0.035 * _grain(rng, 50, 1.2) + 0.12 * _grain(rng, 16, 6)
    height = cover * (0.75 + rng.uniform(-0.5, 0.5) * t + 0.35 * s + lip + scrape)
    streak = np.clip(0.75 * _grain(rng, 45, 3.5) + 0.35 * _grain(rng, 50, 1), -1, 1)
    return Tip((cover * skips).astype(np.float32), height.astype(np.float32), streak.astype(np.float32))


def _gouge(rng: Rng) -> Tip:
    s, t = _axes()
    belly = np.clip(s / rng.uniform(0.15, 0.35), 0, 1) ** 0.7 * np.clip((1 - s) / rng.uniform(0.4, 0.7), 0, 1) ** 0.8
    edge = belly * (0.92 + 0.06 * _grain(rng, 6, 8))
    cover = np.clip((edge - np.abs(t)) / 0.1, 0, 1).astype(np.float32)
    return Tip(cover, (-cover * (1 - t**2)).astype(np.float32), _grain(rng, 20, 4) * 0.4)


def _dab(rng: Rng) -> Tip:
    s, t = _axes()
    radius = np.sqrt((2 * s - 1) ** 2 + t**2) + 0.05 * _grain(rng, 14, 8)
    cover = np.clip((0.93 - radius) / 0.12, 0, 1)
    rim = 0.45 * np.exp(-(((radius - 0.75) / 0.14) ** 2))
    height = cover * (0.8 - 0.35 * radius + rim + 0.1 * _grain(rng, 20, 2))
    return Tip(cover.astype(np.float32), height.astype(np.float32), np.clip(0.6 * _grain(rng, 20, 4), -1, 1))
