"""`mist-ink`: peaks in mist, a crooked pine and a red sun, in ink and a little colour on warm paper."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from tools.gallery.colour import palette, ramp
from tools.gallery.grid import Array, Grid, Rng, step
from tools.gallery.paper import Sheet
from tools.gallery.pine import pine
from tools.gallery.strokes import Brush, Canvas, Subject, lay, paint
from tools.gallery.tips import Tip, bristles

SIZE = (576, 768)
_INK = "14161c"
_PEAKS = (
    ((90.0, 60.0, 60.0), (300.0, 84.0, 70.0), (520.0, 70.0, 80.0)),
    ((206.0, 188.0, 62.0), (352.0, 96.0, 60.0), (20.0, 60.0, 60.0)),
    ((470.0, 210.0, 66.0), (566.0, 120.0, 60.0), (330.0, 66.0, 60.0)),
    ((590.0, 120.0, 110.0), (430.0, 30.0, 60.0)),
)


def render(rng: Rng) -> Array:
    """The finished picture at twice its printed size."""
    grid = Grid(*SIZE, 2)
    sheet = Sheet(grid, palette("f1e3c4")[0], rng, tooth_px=1.8)
    fibres = np.clip(grid.noise(rng, 3, stretch=(5, 0.6)) - 1.9, 0, 1) + np.clip(
        grid.noise(rng, 3, stretch=(0.6, 5)) - 2.1, 0, 1
    )
    sheet.soak(0.22 * fibres, palette("b08a4a")[0])
    tips = bristles(rng, 24, dryness=1.0)

    sky = step(330, 0, grid.y + 60 * grid.noise(rng, 150, octaves=3))
    sheet.wash(sky * 0.8, ramp("6f8a9a b0a890 e0b080", grid.y / 330), rng, strength=0.75, bloom=1.0)
    _sweeps(sheet, tips, rng)
    away = np.hypot(*(axis - at for axis, at in zip(grid.warped(rng, 20, 1.2), (402.0, 132.0), strict=True)))
    sheet.wash(step(53, 50, away), palette("d8301c")[0], rng, strength=1.25, edge=1.0, bloom=0.8)

    for number, (base, tone, tint, strokes) in enumerate(
        (
            (330, 0.5, "8aa0ac", 0.3),
            (372, 0.7, "5f8296", 0.6),
            (452, 0.9, "3a5a6c", 0.9),
            (575, 1.05, "34463f", 1.0),
        )
    ):
        _range(sheet, base, _PEAKS[number], tone, tint, strokes, tips, rng)
    _lake(sheet, tips, rng)
    pine(sheet, tips, rng)
    _marks(sheet, rng)
    return sheet.framed()


def _sweeps(sheet: Sheet, tips: list[Tip], rng: Rng) -> None:
    """Broad, nearly dry strokes of pale ink across the sky."""
    coarse = Grid(*SIZE)
    ink = ramp("8a98a0 b09a7c", coarse.y / 400 + 0.2 * coarse.noise(rng, 90))
    drift = -0.12 + 0.3 * coarse.noise(rng, 190)
    subject = Subject(coarse, ink, drift, np.zeros(coarse.shape, np.int32))
    layer = Canvas(sheet.grid, palette("ffffff")[0])
    brush = Brush(tips, 26, 150, opacity=0.5, streak=0.12, hue=0.05, light=0.08)
    patches = step(-0.2, 1.2, coarse.noise(rng, 120, stretch=(2, 0.7))) * step(390, 250, coarse.y)
    paint(layer, subject, brush, rng, spacing_px=25, where=0.75 * patches)
    sheet.print_layer(1 - 0.6 * (1 - layer.colour))


def _range(
    sheet: Sheet,
    base: float,
    peaks_at: tuple[tuple[float, float, float], ...],
    tone: float,
    tint: str,
    strokes: float,
    tips: list[Tip],
    rng: Rng,
) -> None:
    """One range of peaks: a wash that fades down into mist, axe-cut strokes on its flanks, a broken outline."""
    grid, coarse = sheet.grid, Grid(*SIZE)
    columns_x = coarse.x[:1]
    peaks = base + 5 * coarse.profile(rng, 90)
    for at, tall, wide in peaks_at:
        away = np.abs(columns_x + 7 * coarse.profile(rng, 40) - at) / wide
        shoulder = np.exp(-(away**1.45)) + 0.05 * np.sin(away * 9) * np.exp(-away)
        peaks = np.minimum(peaks, base - tall * shoulder + 12 * away)
    peaks = peaks - 4 * np.abs(coarse.profile(rng, 22, octaves=3))
    swing = 70.0
    fine = np.repeat(peaks, grid.scale, axis=1)
    depth = grid.y - fine + 1.5 * grid.noise(rng, 8, octaves=2)
    inside = step(-1.2, 1.2, depth)
    mist = step(base - 10, base + 75, grid.y + 16 * grid.noise(rng, 80, octaves=4, stretch=(2.5, 1)))
    sheet.reserve(inside * step(90, 0, depth) + (1 - step(90, 0, depth)) * inside * 0.92)
    fade = np.exp(-np.clip(depth, 0, None) / (swing * 1.5)) * (1 - mist)
    sheet.wash(inside * np.clip(0.06 + 0.94 * fade, 0, 1), palette(tint)[0], rng, strength=tone, edge=0.4, bloom=0.9)
    pooled = step(0.1, 1.3, grid.noise(rng, 46, octaves=4, stretch=(0.7, 1.6)))
    sheet.wash(inside * pooled * fade, palette(_INK)[0], rng, strength=0.4 * tone, edge=1.4, bloom=0.6)

    below = coarse.y - peaks
    slope = np.gradient(np.broadcast_to(gaussian_filter(peaks, (0, 5)), coarse.shape), axis=1)
    angle = np.where(slope > 0, 1.0, -1.0) * (0.75 + 0.3 * coarse.noise(rng, 50)) + 0.12 * slope
    ink = ramp("1a1c22 3a3e44 7a7a76", below / (swing * 2.2) + 0.25 * coarse.noise(rng, 40))
    subject = Subject(coarse, ink, angle.astype(np.float32), (below > -2).astype(np.int32))
    lit_side = 0.5 + 0.5 * np.tanh(2 * slope) + 0.35 * coarse.noise(rng, 30)
    where = strokes * (below > 0) * np.exp(-np.clip(below, 0, None) / (swing * 1.35)) * np.clip(lit_side, 0.1, 0.9)
    where = where * step(base + 40, base - 30, coarse.y)
    for width_px, length_px, spacing_px in ((13.0, 46.0, 10.0), (6.5, 26.0, 7.0), (3.2, 13.0, 6.0)):
        layer = Canvas(grid, palette("ffffff")[0])
        brush = Brush(
            tips, width_px, length_px, opacity=0.55 + 0.3 * strokes, streak=0.25, hue=0, light=0.25, sway=0.25
        )
        paint(layer, subject, brush, rng, spacing_px=spacing_px, where=where)
        sheet.print_layer(1 - (1 - layer.colour) * (0.45 + 0.45 * tone))

    layer = Canvas(grid, palette("ffffff")[0])
    columns = np.arange(0, SIZE[0] - 40, 13)
    paths, widths = [], []
    for left in columns:
        run = np.clip(np.linspace(left, left + rng.uniform(22, 52), 18), 0, SIZE[0] - 1)
        paths.append(np.stack([run, peaks[0, run.astype(int)] + rng.normal(0, 1.2)], axis=1))
        widths.append(rng.gamma(3.0, 1.5) * tone + 1)
    brush = Brush(tips, 4, 30, opacity=0.9, streak=0.2)
    lay(
        layer,
        np.array(paths, np.float32),
        np.array(widths),
        np.tile(palette("20232a"), (len(paths), 1)),
        brush,
        rng,
    )
    sheet.print_layer(1 - (1 - layer.colour) * np.clip(0.3 + 0.55 * tone, 0, 1))


def _lake(sheet: Sheet, tips: list[Tip], rng: Rng) -> None:
    grid, coarse = sheet.grid, Grid(*SIZE)
    flat = Subject(
        coarse,
        ramp("5a6f78 2a3038", (coarse.y - 600) / 160),
        0.03 * coarse.noise(rng, 60),
        np.zeros(coarse.shape, np.int32),
    )
    layer = Canvas(grid, palette("ffffff")[0])
    where = step(600, 720, coarse.y) * np.clip(0.3 + 0.35 * coarse.noise(rng, 70, stretch=(2, 0.6)), 0, 1)
    paint(
        layer,
        flat,
        Brush(tips, 7, 70, opacity=0.6, streak=0.2, hue=0.05, sway=0.03),
        rng,
        spacing_px=11,
        where=where,
    )
    paint(
        layer,
        flat,
        Brush(tips, 3.4, 34, opacity=0.7, streak=0.2, hue=0.05, sway=0.03),
        rng,
        spacing_px=9,
        where=where,
    )
    sheet.print_layer(layer.colour)


def _marks(sheet: Sheet, rng: Rng) -> None:
    """Cranes in flight, a boat on the lake, splashes of ink, and the painter's red seal."""
    grid = sheet.grid
    x, y = grid.warped(rng, 12, 0.5)
    ink = np.zeros(grid.shape, np.float32)
    for cx, cy, size in (
        (250.0, 150.0, 19),
        (290.0, 176.0, 14),
        (216.0, 186.0, 12),
        (322.0, 142.0, 10),
        (268.0, 208.0, 9),
    ):
        u, v = (x - cx) / size, (y - cy) / size
        wing = np.abs(v + 0.42 * np.sqrt(np.abs(u)) * 1.2 - 0.34 * u**2 * 1.4) - 0.13 * np.clip(1 - np.abs(u), 0, 1)
        ink = np.maximum(ink, step(0.05, -0.02, wing) * (np.abs(u) < 1))
    u, v = (x - 424) / 46, (y - 668) / 46
    hull = step(0.04, -0.02, np.abs(v - 0.16 * (1 - u**2) + 0.02) - 0.1 * np.clip(1 - u**2, 0, 1)) * (np.abs(u) < 1.1)
    person = step(0.03, -0.02, np.hypot((u + 0.2) / 0.55, (v + 0.22)) - 0.17) + step(
        0.03, -0.02, np.hypot(u + 0.2, v + 0.45) - 0.1
    )
    pole = (np.abs(u - 0.1 - 0.55 * v) < 0.018) & (v > -0.95) & (v < 0.5)
    ink = np.maximum(ink, np.clip(hull + person + pole, 0, 1))
    for _ in range(50):
        cx, cy, radius = rng.uniform(0, SIZE[0]), rng.uniform(240, SIZE[1]), min(rng.gamma(1.3, 0.7), 2.2) + 0.4
        ink = np.maximum(ink, step(radius + 0.5, radius - 0.5, np.hypot(x - cx, y - cy)) * 0.7)
    sheet.wash(gaussian_filter(ink, 0.8), palette(_INK)[0], rng, strength=1.5, edge=0.4, edge_px=1.5)
    u, v = (x - 526) / 19, (y - 700) / 24
    square = step(1.03, 0.97, np.maximum(np.abs(u), np.abs(v)))
    cut = (
        (np.abs(np.abs(u) - 0.42) < 0.11) & (np.abs(v) < 0.72)
        | (np.abs(v - 0.1) < 0.1) & (np.abs(u) < 0.7)
        | (np.abs(v + 0.55) < 0.09) & (np.abs(u) < 0.45)
    )
    worn = step(-1.7, -1.2, grid.noise(rng, 5, octaves=2))
    sheet.soak(square * (1 - cut) * worn * (1 + 0.15 * sheet.tooth), palette("c4281a")[0])
