"""A crooked pine on a rock, in ink: a dry-brushed crag, brushed limbs, fans of needles and a breath of green."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from tools.gallery.colour import palette, ramp
from tools.gallery.grid import Array, Grid, Rng, step
from tools.gallery.paper import Sheet
from tools.gallery.strokes import Brush, Canvas, Subject, lay, paint
from tools.gallery.tips import Tip

_TRUNK = ((70, 660), (96, 600), (86, 540), (124, 486), (118, 430), (166, 386), (190, 352))
_BRANCHES = (
    (2, ((30, 505), (4, 500))),
    (3, ((186, 470), (236, 478), (286, 462))),
    (4, ((70, 408), (34, 388))),
    (5, ((214, 396), (262, 384))),
    (6, ((160, 322), (128, 312))),
    (6, ((228, 336), (262, 316))),
)
"""Where on the trunk each branch leaves it, and the points it bends through."""


def pine(sheet: Sheet, tips: list[Tip], rng: Rng) -> None:
    """A rock at the lower left of a sheet, with a pine that leans out over the water."""
    layer = Canvas(sheet.grid, palette("ffffff")[0])
    trunk = np.array(_TRUNK, np.float32)
    branches = [np.array([_TRUNK[start], *bends], np.float32) for start, bends in _BRANCHES]
    _rock(sheet, layer, tips, rng)
    _wood(layer, trunk, (("2a2624", 17.0), ("0c0c10", 8.0)), 1.6, tips, rng)
    for branch in branches:
        _wood(layer, branch, (("1a1818", 6.5),), 0.5, tips, rng)
    tufts = [tuft + rng.normal(0, 1, 2) * (17, 8) for tuft in _curve(trunk, 9)[3:]]
    for branch in branches:
        tufts += [tuft + rng.normal(0, 1, 2) * (17, 8) for tuft in np.repeat(_curve(branch, 9)[2:], 3, axis=0)]
    _green(sheet, tufts, rng)
    _needles(layer, tufts, tips, rng)
    sheet.print_layer(layer.colour)


def _rock(sheet: Sheet, layer: Canvas, tips: list[Tip], rng: Rng) -> None:
    grid, coarse = sheet.grid, Grid(sheet.grid.width, sheet.grid.height)
    depth = grid.y - (640 + 0.0016 * grid.x**2 + 12 * grid.profile(rng, 50) + 5 * np.abs(grid.profile(rng, 12)))
    body = step(-1, 1, depth) * step(330, 250, grid.x + 6 * grid.noise(rng, 30))
    sheet.wash(body, ramp("3a4a3f 20242a", depth / 110), rng, strength=1.2, edge=1.2)
    ink = ramp("0c0e12 2a2e32", 0.5 + 0.4 * coarse.noise(rng, 20))
    slant = 0.9 + 0.6 * coarse.noise(rng, 40)
    subject = Subject(coarse, ink, slant, np.zeros(coarse.shape, np.int32))
    crag = body[:: grid.scale, :: grid.scale] * step(-4, 14, depth[:: grid.scale, :: grid.scale])
    brush = Brush(tips, 12, 40, opacity=0.95, streak=0.2, hue=0)
    paint(layer, subject, brush, rng, spacing_px=10, where=crag * 0.55)


def _wood(
    layer: Canvas,
    bends: Array,
    loads: tuple[tuple[str, float], ...],
    tremble_px: float,
    tips: list[Tip],
    rng: Rng,
) -> None:
    """One limb, brushed in overlapping pieces that taper; each load is an ink and a width in px."""
    path = _curve(bends, 40)
    brush = Brush(tips, 1, 1, streak=0.25)
    for ink, width_px in loads:
        for begin in range(0, 30, 6):
            piece = _curve(path[begin : begin + 12] + rng.normal(0, tremble_px, 2), 40)
            lay(layer, piece[None], np.array([width_px * (1 - 0.65 * begin / 40)]), palette(ink), brush, rng)


def _green(sheet: Sheet, tufts: list[Array], rng: Rng) -> None:
    grid = sheet.grid
    green = np.zeros(grid.shape, np.float32)
    for x, y in tufts:
        top, left = int(max(y - 26, 0)) * grid.scale, int(max(x - 34, 0)) * grid.scale
        box = np.s_[top : top + 48 * grid.scale, left : left + 68 * grid.scale]
        away = np.hypot((grid.x[box] - x) / 27, (grid.y[box] - y + 6) / 15)
        green[box] = np.maximum(green[box], step(1.0, 0.55, away))
    mottled = green * np.clip(0.8 + 0.3 * grid.noise(rng, 16), 0, 1)
    sheet.wash(mottled, palette("4a6f5a")[0], rng, strength=0.8, edge=1.0)


def _needles(layer: Canvas, tufts: list[Array], tips: list[Tip], rng: Rng) -> None:
    """Above each tuft half a fan of needles, flicked outwards."""
    paths, inks = [], []
    for tuft in tufts:
        ink = palette(rng.choice(["0a0c10", "16201c", "2a3a30"]))[0]
        for turn in np.linspace(-1.02 * np.pi, 0.02 * np.pi, 19) + rng.normal(0, 0.05):
            tip = tuft + rng.uniform(11, 21) * np.array([np.cos(turn), 0.8 * np.sin(turn)])
            paths.append(_curve(np.array([tuft, (tuft + tip) / 2 + rng.normal(0, 0.8, 2), tip]), 8))
            inks.append(ink)
    brush = Brush(tips, 1, 1, opacity=0.9, streak=0.1)
    lay(layer, np.array(paths), rng.uniform(1.5, 2.9, len(paths)), np.array(inks), brush, rng)


def _curve(points: Array, count: int) -> Array:
    """The polyline through the points, resampled and rounded at its corners."""
    at = np.linspace(0, len(points) - 1, count)
    line = np.stack([np.interp(at, np.arange(len(points)), points[:, k]) for k in range(2)], axis=1)
    return np.asarray(gaussian_filter(line, (count / len(points) / 4, 0), mode="nearest"))
