"""`night-swirl`: a wheat field, cypresses and a cottage under a wheeling night sky, in short loaded oil strokes."""

from __future__ import annotations

import numpy as np

from tools.gallery.colour import cover, palette, ramp
from tools.gallery.grid import Array, Grid, Labels, Rng, step
from tools.gallery.relief import lit
from tools.gallery.strokes import Brush, Canvas, Subject, paint
from tools.gallery.tips import bristles

SIZE = (768, 592)
_MOON = (196.0, 138.0, 40.0)
_STARS = (
    (60.0, 60.0, 11.0),
    (344.0, 52.0, 15.0),
    (470.0, 150.0, 12.0),
    (700.0, 64.0, 16.0),
    (52.0, 236.0, 12.0),
    (588.0, 214.0, 11.0),
    (330.0, 236.0, 9.0),
    (540.0, 48.0, 9.0),
    (722.0, 232.0, 10.0),
)
_SKY = "071436 0b2360 123f96 1d63b8 2f8cc4 6cbcc9 cfe3c0"
_GLOW = "fff6cf ffe27a f7b733 e8c45a 86c0a8 3d93bd"


def render(rng: Rng) -> Array:
    """The finished picture at twice its printed size."""
    subject, detail, cypress = _subject(Grid(*SIZE), rng)
    canvas = Canvas(Grid(*SIZE, 2), palette("142a52")[0])
    tips = bristles(rng, 24)
    paint(canvas, subject, Brush(tips, 26, 90, streak=0.12, thickness=1.4), rng, spacing_px=14)
    paint(
        canvas,
        subject,
        Brush(tips, 13, 56, streak=0.15, thickness=2.2, light=0.16, hue=0.14),
        rng,
        spacing_px=9.5,
    )
    paint(
        canvas,
        subject,
        Brush(tips, 9, 34, streak=0.14, thickness=2.8, light=0.22, hue=0.2, sway=0.05),
        rng,
        spacing_px=8.5,
        where=0.45 + 0.55 * detail,
    )
    paint(
        canvas,
        subject,
        Brush(tips, 5.5, 17, streak=0.1, thickness=3.0, light=0.16, hue=0.12),
        rng,
        spacing_px=6.2,
        where=np.clip(detail * 1.3 - 0.5, 0, 1) * (1 - 0.6 * cypress),
    )
    return lit(canvas.colour, canvas.height * 1.2, gloss=0.14, ambient=0.5, soften_px=0.9)


def _subject(grid: Grid, rng: Rng) -> tuple[Subject, Array, Array]:
    x, y = grid.x, grid.y
    stream = y + 26 * grid.noise(rng, 190)
    for cx, cy, reach, turn in (
        (430.0, 108.0, 62, 110),
        (306.0, 168.0, 50, -84),
        (610.0, 128.0, 54, 96),
        (90.0, 160.0, 48, -60),
    ):
        stream = stream + turn * np.exp(-((x - cx) ** 2 + ((y - cy) * 1.15) ** 2) / (2 * reach**2))
    down, right = np.gradient(stream)
    flow_x, flow_y = down, -right
    bands = 0.5 + 0.5 * np.sin(stream / 8.5 + 0.5 * grid.noise(rng, 60))
    tone = 0.06 + 0.52 * bands**1.4 + 0.08 * grid.noise(rng, 90) + 0.22 * step(180, 380, y)
    colour = ramp(_SKY, tone)
    detail = 0.25 + 0.2 * bands

    for cx, cy, radius in (_MOON, *_STARS):
        dx, dy = x - cx, y - cy
        away = np.hypot(dx, dy) + 1e-3
        pull = np.exp(-((away / (3.0 * radius)) ** 2)) * 3
        flow_x, flow_y = flow_x - pull * dy / away, flow_y + pull * dx / away
        rings = away / (3.2 * radius) + 0.07 * np.sin(away / radius * 7)
        cover(colour, step(3.6, 1.4, away / radius) * 0.96, ramp(_GLOW, rings))
        detail = np.maximum(detail, step(3.4, 2.0, away / radius))
    moon_x, moon_y, moon_r = _MOON
    disc = step(moon_r + 1, moon_r - 1, np.hypot(x - moon_x, y - moon_y))
    bite = step(moon_r * 0.8 - 1, moon_r * 0.8 + 1, np.hypot(x - moon_x + 15, y - moon_y + 9))
    cover(colour, disc * (1 - bite), palette("e9a92c")[0])
    cover(colour, disc * bite, palette("fffbe0")[0])

    angle = np.arctan2(flow_y, flow_x)
    region = np.zeros(grid.shape, np.int32)
    hills = (
        (352, 16, 210, "1b2f6e 2c55a0 5a8fc0", 9.0),
        (386, 13, 160, "0e3350 1d6672 4fa08a", 8.0),
        (428, 11, 220, "0d3a35 2c7048 8fae4e", 9.0),
        (474, 9, 260, "5a3b12 c98a1e f4cf52 ffe98c", 6.5),
    )
    for number, (base, swing, size, colours, furrow) in enumerate(hills, start=1):
        top = base + swing * grid.profile(rng, size, octaves=2)
        depth = y - top
        inside = step(-1, 1, depth)
        slope = np.gradient(np.broadcast_to(top, grid.shape), axis=1)
        roll = 0.35 * grid.noise(rng, 120)
        rows = 0.5 + 0.5 * np.sin(depth / furrow * (1 - 0.3 * step(0, 120, depth)) + 1.4 * grid.noise(rng, 70))
        cover(colour, inside, ramp(colours, 0.06 + 0.8 * rows + 0.1 * grid.noise(rng, 30)))
        lean = np.arctan(slope) + roll * step(0, 40, depth)
        if number == len(hills):
            lean = -np.pi / 2 + 0.55 * grid.noise(rng, 130) + 0.25 * np.sin(x / 37)
        angle = np.where(depth > 0, lean, angle)
        region = np.where(depth > 0, number, region)
        detail = np.where(depth > 0, 0.45 + 0.2 * rows, detail)

    _cottages(grid, colour, angle, region, detail)
    cypress = np.zeros(grid.shape, np.float32)
    for foot, tall, wide in ((648.0, 452.0, 44.0), (712.0, 330.0, 34.0), (596.0, 236.0, 22.0)):
        up = (604 - y) / tall
        middle = foot + 9 * np.sin(up * 8 + foot) * up
        half = (
            wide
            * np.clip(up + 0.12, 0, 1) ** 0.35
            * np.clip(1 - up, 0, 1) ** 0.75
            * (1 + 0.16 * np.sin(up * 31 + x / 9))
        )
        flame = ((np.abs(x - middle) < half) & (up < 1)).astype(np.float32)
        licks = 0.5 + 0.5 * np.sin((x - middle) / 4.2 + 3.2 * np.sin(up * 11) + grid.noise(rng, 30))
        cover(
            colour,
            flame,
            ramp("04121c 0a2a2a 12402f 3a6a2c 9a7a2a", 0.85 * licks**1.6 + 0.06 * grid.noise(rng, 20)),
        )
        angle = np.where(flame > 0, -np.pi / 2 + 0.55 * np.sin(up * 14 + (x - middle) / 14), angle)
        region = np.where(flame > 0, 20 + int(foot), region).astype(np.int32)
        detail = np.where(flame > 0, 0.75, detail)
        cypress = np.maximum(cypress, flame)
    return Subject(grid, colour, angle.astype(np.float32), region), detail.astype(np.float32), cypress


def _cottages(grid: Grid, colour: Array, angle: Array, region: Labels, detail: Array) -> None:
    x, y = grid.x, grid.y
    cottages = (
        (300, 436, 54, 26),
        (366, 430, 40, 22),
        (232, 432, 38, 20),
        (420, 434, 46, 20),
        (160, 438, 44, 22),
    )
    for number, (left, floor, wide, tall) in enumerate(cottages):
        wall = (x > left) & (x < left + wide) & (y > floor - tall) & (y < floor)
        rise = (y - (floor - tall - 20)) / 20
        roof = (rise > 0) & (rise <= 1) & (np.abs(x - left - wide / 2) < rise * (wide / 2 + 6))
        spire = (
            (number == 1) & (np.abs(x - left - 8) < np.clip((y - (floor - tall - 84)) / 9, 0, 7)) & (y < floor - tall)
        )
        window = wall & (np.abs((x - left) % 18 - 10) < 4) & (np.abs(y - floor + tall * 0.55) < 5)
        for mask, paint_name, lean in (
            (wall, "35528c" if number % 2 else "4a78ae", 0.0),
            (roof, "8c2f22" if number % 2 else "b8542a", 0.5),
            (spire, "22345c", -1.57),
            (window, "ffd84a", -1.57),
        ):
            colour[mask] = palette(paint_name)[0]
            angle[mask] = lean
            detail[mask] = 1
            region[mask] = 100 + 4 * number + (2 if paint_name == "ffd84a" else 1)
