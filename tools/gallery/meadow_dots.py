"""`meadow-dots`: a river bank on a summer noon, in thousands of dabs of divided colour."""

from __future__ import annotations

import numpy as np

from tools.gallery.colour import cover, palette, ramp, saturated, vary
from tools.gallery.grid import Array, Grid, Rng, scatter, step
from tools.gallery.relief import lit
from tools.gallery.strokes import Brush, Canvas, Subject, lay, paint, trace
from tools.gallery.tips import bristles, dabs

SIZE = (768, 576)


def render(rng: Rng) -> Array:
    """The finished picture at twice its printed size."""
    subject = _subject(Grid(*SIZE), rng)
    canvas = Canvas(Grid(*SIZE, 2), palette("e2cfa4")[0])
    paint(canvas, subject, Brush(bristles(rng), 18, 40, light=0.12, hue=0.2, thickness=0.5), rng, spacing_px=11)
    touches = dabs(rng, 24)
    for size_px, spacing_px, share in (
        (14.0, 8.5, 0.95),
        (10.5, 8.0, 0.95),
        (8.2, 9.0, 0.9),
        (6.2, 11.0, 0.4),
    ):
        brush = Brush(touches, size_px, size_px * 1.2, thickness=2.4, streak=0.04)
        _divide(canvas, subject, brush, rng, spacing_px, share)
    return lit(canvas.colour, canvas.height * 1.1, gloss=0.1, ambient=0.55, soften_px=1.1)


def _divide(canvas: Canvas, subject: Subject, brush: Brush, rng: Rng, spacing_px: float, share: float) -> None:
    """Dabs that never mix on the palette: most near the local colour, some its neighbours, a few its complement."""
    points = scatter(subject.grid, spacing_px, rng)
    points = points[rng.random(len(points)) < share]
    local = np.asarray(subject.grid.read(subject.colour, points), np.float32)
    kind = rng.random(len(points))
    near = vary(local, rng, hue=0.16, chroma=0.2, light=0.09)
    brighter = vary(np.clip(local * 1.12 + 0.03, 0, 1), rng, hue=0.22, chroma=0.2, light=0.06)
    deeper = vary(local * np.array([0.68, 0.72, 0.92], np.float32), rng, hue=0.2, chroma=0.2, light=0.08)
    grey = local.mean(axis=1, keepdims=True)
    across = vary(np.clip(1.15 * grey - 0.95 * (local - grey), 0, 1), rng, hue=0.3, chroma=0.2, light=0.1)
    pick = np.select([kind < 0.54, kind < 0.77, kind < 0.945], [0, 1, 2], 3)
    colours = np.stack([near, brighter, deeper, across])[pick, np.arange(len(points))]
    colours = saturated(colours, 1.18)
    paths = trace(subject, points, np.full(len(points), brush.length_px, np.float32), 0.3, rng, steps=2)
    lay(canvas, paths, brush.width_px * rng.uniform(0.75, 1.25, len(points)), colours, brush, rng)


def _subject(grid: Grid, rng: Rng) -> Subject:
    x, y = grid.x, grid.y
    drift = grid.noise(rng, 150, stretch=(2.2, 1))
    colour = ramp("1f4fb4 2f7ad0 4fa8d8 8fd0cc f0dc8a fbb45a f28a5a", y / 232 + 0.1 * drift)
    clouds = step(0.45, 0.95, grid.noise(rng, 120, octaves=3, stretch=(1.9, 0.75)) + 0.2 * np.sin(y / 40))
    cover(
        colour,
        0.9 * clouds * step(226, 170, y),
        ramp("fff0c0 ffcf8a f79a86 c47ac0 6f6ad0", 0.42 + 0.3 * grid.noise(rng, 40, octaves=2)),
    )
    angle = 0.12 + 0.55 * grid.noise(rng, 120)

    far = 222 + 9 * grid.profile(rng, 130)
    cover(
        colour,
        step(-1, 1, y - far),
        ramp("8fa6d8 7d8fc8 8fb39a", (y - far) / 40 + 0.12 * grid.noise(rng, 22)),
    )
    grove = 226 - 20 * np.abs(grid.profile(rng, 60)) + 4 * grid.profile(rng, 14)
    cover(
        colour,
        step(-1, 1, y - grove),
        ramp("3f6ea0 3f8a6a 6fb04e c8c84a", 0.4 + 0.28 * grid.noise(rng, 18, octaves=2)),
    )

    shore = 262 + 4 * grid.profile(rng, 160)
    ripple = np.sin(y / 3.4 + 2 * grid.noise(rng, 50, stretch=(3, 1)))
    river = ramp(
        "1c3f9a 2a6fc0 4fa8d4 a8dcc8 ffe08a",
        0.42 + 0.16 * ripple + 0.0012 * (x - 300) + 0.1 * grid.noise(rng, 60),
    )
    cover(river, step(330, 262, y) * 0.55, ramp("2f6a5a 4f8f5a 8fb04e", 0.5 + 0.3 * ripple))
    cover(colour, step(-1, 1, y - shore), river)

    bank = 448 - 0.19 * x + 20 * np.sin(x / 150 + 0.6) + 4 * grid.profile(rng, 60)
    depth = y - bank
    tufts = grid.noise(rng, 26, octaves=2, stretch=(2.2, 0.7))
    meadow = ramp("2f7a4a 5fa83e a8cc3e e6dc4a f8e88a", 0.52 + 0.2 * tufts + 0.08 * grid.noise(rng, 120))
    for colours, dense in (("e0281f ff5a3a", 0.75), ("ffd0a0 ff7aa8", 1.05), ("4a3ac0 8a5ad0", 0.9)):
        bloom = step(dense, dense + 0.25, grid.noise(rng, 10) * 0.75 + 0.75 * grid.noise(rng, 110))
        cover(meadow, bloom * step(64, 120, depth), ramp(colours, 0.5 + 0.4 * grid.noise(rng, 9)))
    shadow = np.zeros(grid.shape, np.float32)
    trees = ((626.0, 452.0, 250.0, 122.0), (744.0, 420.0, 210.0, 92.0), (92.0, 492.0, 290.0, 118.0))
    for foot_x, foot_y, _, wide in trees:
        shadow = np.maximum(
            shadow,
            step(1.1, 0.8, np.hypot((x - foot_x + wide * 0.7) / (wide * 1.35), (y - foot_y - 10) / 24)),
        )
    cover(meadow, shadow * 0.8, ramp("1a2f7a 2f4aa0 1f6a62", 0.5 + 0.3 * tufts))
    cover(colour, step(-1, 1, depth), meadow)
    angle = np.where(depth > 0, 0.25 + 0.5 * grid.noise(rng, 60), np.where(y > shore, 0, angle))

    for foot_x, foot_y, tall in ((262.0, 316.0, 92.0), (404.0, 288.0, 58.0), (470.0, 302.0, 74.0)):
        up, across = (foot_y - y) / tall, (x - foot_x) / tall
        sail = (up > 0.08) & (up < 1) & (across > -0.1 * (1 - up)) & (across < 0.42 * np.clip(1 - up, 0, 1) ** 0.8)
        hull = (up < 0.07) & (up > -0.06) & (np.abs(across - 0.1) < 0.36 + up)
        gleam = (up < -0.08) & (up > -0.8) & (np.abs(across - 0.1 + 0.06 * np.sin(y / 2.6)) < 0.16 * (1 + up))
        colour[gleam] = palette("f2ead0")[0]
        colour[sail] = ramp("fffdf2 ffe9b8 d8c4e0", 0.3 + across * 1.6)[sail]
        colour[hull] = palette("8a2f3a")[0]

    for foot_x, foot_y, tall, wide in trees:
        trunk_x = foot_x + 10 * np.sin((foot_y - y) / 60)
        trunk = (np.abs(x - trunk_x) < 6 + 7 * step(60, 0, foot_y - y)) & (y < foot_y) & (y > foot_y - tall * 0.8)
        colour[trunk] = ramp("e8a860 8a4a4a 3a2a6a", 0.5 + (x - trunk_x) / 20)[trunk]
        crown_y = foot_y - tall * 0.72
        lumps = 0.13 * grid.noise(rng, 40, octaves=3)
        crown = np.hypot((x - foot_x) / wide, (y - crown_y) / (tall * 0.42)) + lumps < 0.95
        toward_sun = (x - foot_x) / wide - (y - crown_y) / (tall * 0.42)
        light = 0.46 + 0.2 * toward_sun + 0.2 * grid.noise(rng, 30, octaves=3)
        leaves = ramp("141f5a 17505e 2a8044 86ba30 f4dc44", light)
        cover(colour, crown.astype(np.float32), leaves)
        angle = np.where(crown, np.arctan2(y - crown_y, x - foot_x) + 1.57, angle)
    _strollers(grid, colour)
    return Subject(grid, colour, angle.astype(np.float32), np.zeros(grid.shape, np.int32))


def _strollers(grid: Grid, colour: Array) -> None:
    """Two ladies with parasols on the bank."""
    x, y = grid.x, grid.y
    for foot_x, foot_y, tall, dress, parasol in (
        (338.0, 474.0, 118.0, "fffaf0 ffd8c8 c8a8e0", "ff7a4a e0281f 8a1436"),
        (432.0, 452.0, 98.0, "f0506a b01f4a 5a1450", "fff6c0 ffd24a e8902a"),
    ):
        up, across = (foot_y - y) / tall, (x - foot_x) / tall
        gown = (up > 0) & (up < 0.78) & (np.abs(across) < 0.075 + 0.17 * np.clip(0.55 - up, 0, 1) ** 0.8)
        head = np.hypot(across, up - 0.85) < 0.075
        shade = np.hypot((x - foot_x - 0.08 * tall) / 0.33, (y - foot_y + 1.0 * tall) / 0.23) < tall
        shade &= up > 0.98
        handle = (np.abs(across - 0.08 - 0.02 * up) < 0.018) & (up > 0.4) & (up < 1.0)
        cast = np.hypot((across + 0.34) / 0.36, (up + 0.01) / 0.055) < 1
        for mask, fill in (
            (cast, ramp("2a3f8a 3a6a7a", 0.5 + across)),
            (gown, ramp(dress, 0.5 - across * 3)),
            (head, ramp("c87a4a 5a2a1a", up * 3 - 2)),
            (handle, ramp("5a2a3a 5a2a3a", up)),
            (shade, ramp(parasol, 0.5 - across * 1.6)),
        ):
            colour[mask] = fill[mask]
