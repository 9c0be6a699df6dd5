"""`sunset-knife`: boats coming home to a harbour at sunset, in thick slabs of oil set down with a palette knife."""

from __future__ import annotations

import numpy as np

from tools.gallery.colour import cover, palette, ramp
from tools.gallery.grid import Array, Grid, Rng, step
from tools.gallery.relief import lit
from tools.gallery.strokes import Brush, Canvas, Subject, paint
from tools.gallery.tips import knives

SIZE = (768, 576)
_SUN = (470.0, 236.0)
_HORIZON = 306.0
_SKY = "fff3c4 ffd75e ff9d2e f2592a c22d54 6d2a6e 2c2a6b 1b2a5c"
_SEA = "ffe9a0 ffb03a ee5a2c a52a5c 3a3a86 155a8a 0d7f93 0a3050"


def render(rng: Rng) -> Array:
    """The finished picture at twice its printed size."""
    subject, detail = _subject(Grid(*SIZE), rng)
    canvas = Canvas(Grid(*SIZE, 2), palette("5a2440")[0])
    tips = knives(rng, 28)
    paint(
        canvas,
        subject,
        Brush(tips, 52, 100, streak=0.13, thickness=1.6, light=0.09, sway=0.3),
        rng,
        spacing_px=26,
    )
    paint(
        canvas,
        subject,
        Brush(tips, 33, 62, streak=0.17, thickness=2.0, light=0.14, hue=0.16, sway=0.4),
        rng,
        spacing_px=19,
        where=0.75 + detail,
    )
    paint(
        canvas,
        subject,
        Brush(tips, 19, 36, streak=0.17, thickness=2.2, light=0.17, hue=0.2, sway=0.35),
        rng,
        spacing_px=13,
        where=np.clip(0.12 + detail, 0, 1),
    )
    paint(
        canvas,
        subject,
        Brush(tips, 9, 20, streak=0.13, thickness=2.0, light=0.16, hue=0.12, sway=0.15),
        rng,
        spacing_px=7.5,
        where=np.clip(1.6 * detail - 0.75, 0, 1),
    )
    return lit(canvas.colour, canvas.height * 1.7, gloss=0.2, ambient=0.5, soften_px=1.2)


def _subject(grid: Grid, rng: Rng) -> tuple[Subject, Array]:
    x, y = grid.x, grid.y
    sun_x, sun_y = _SUN
    away = np.hypot(x - sun_x, (y - sun_y) * 1.25)
    sky = ramp(_SKY, np.clip(away / 470, 0, 1) ** 0.8 + 0.07 * grid.noise(rng, 130, stretch=(2.4, 1), octaves=3))
    clouds = step(0.25, 0.9, grid.noise(rng, 120, octaves=3, stretch=(2.8, 0.8))) * step(300, 120, y)
    cover(sky, clouds * 0.75, ramp("ffcf7a f0784e a53a6a 5a3a86", away / 420 + 0.1 * grid.noise(rng, 50)))
    cover(sky, step(36, 33, np.hypot(x - sun_x, y - sun_y)), palette("fffbe0")[0])
    angle = np.arctan2(y - sun_y, x - sun_x) + np.pi / 2 + 0.45 * grid.noise(rng, 90)
    region = (np.hypot(x - sun_x, y - sun_y) < 34).astype(np.int32) * 2
    detail = 0.1 + 0.2 * clouds + 0.5 * step(70, 30, away)

    depth = np.clip((y - _HORIZON) / (SIZE[1] - _HORIZON), 0, 1)
    aside = np.abs(x - sun_x) / (46 + 120 * depth)
    glitter = 0.22 * np.sin(y / (2.5 + 9 * depth) + 2.5 * grid.noise(rng, 60, stretch=(3, 1)))
    sea = ramp(
        _SEA,
        0.3 * aside + 0.38 * depth + 0.03 + glitter + 0.1 * grid.noise(rng, 60, octaves=2, stretch=(3, 0.7)),
    )
    water = y > _HORIZON
    colour = np.where(water[..., None], sea, sky)
    angle = np.where(water, 0.06 * grid.noise(rng, 90), angle)
    region = np.where(water, 1, region)
    detail = np.where(water, 0.3 + 0.45 * step(1.6, 0.4, aside), detail)

    town = _HORIZON + 4 - (26 + 15 * grid.profile(rng, 70, octaves=1) + 30 * step(300, 0, x) + 14 * step(600, 768, x))
    blocks = np.floor(x / 21)
    roofs = town + 9 * np.sin(blocks * 12.9)
    shore = (y > roofs) & ~water & ((x < 372) | (x > 574))
    walls = ramp("3a2560 5e2f6e 8a3a62 c8563e 2c2a66", (np.sin(blocks * 7.7) + 1) / 2 + 0.08 * grid.noise(rng, 12))
    colour = np.where(shore[..., None], walls, colour)
    angle = np.where(shore, 1.57, angle)
    region = np.where(shore, 100 + blocks, region).astype(np.int32)
    detail = np.where(shore, 0.8, detail).astype(np.float32)
    mirror = water & (y < 2 * _HORIZON - roofs + 14) & ((x < 372) | (x > 574))
    cover(colour, mirror * 0.6, ramp("2a2058 6a2f62 a5483e", (np.sin(blocks * 7.7) + 1) / 2))

    for number, (foot_x, foot_y, tall, facing, sail, shade) in enumerate(
        (
            (176.0, 436.0, 220.0, 1, "f6e3c0 ffb45e e0643a", "6a2a5a"),
            (318.0, 366.0, 118.0, 1, "e8503a b02a3a 7a1f44", "4a1f4a"),
            (604.0, 398.0, 160.0, -1, "fff0cc f7a93c c9483a", "5a2450"),
            (690.0, 344.0, 66.0, -1, "f2c27a d8603e 8a2f50", "4a1f4a"),
            (392.0, 334.0, 48.0, 1, "ffe0a0 e88a44 a03a50", "4a1f4a"),
        )
    ):
        up = (foot_y - 0.09 * tall - y) / tall
        across = facing * (x - foot_x) / tall
        main = (up > 0.02) & (up < 1) & (across > 0.015) & (across < 0.42 * np.clip(1 - up, 0, 1) ** 0.85)
        jib = (up > 0.0) & (up < 0.82) & (across < -0.015) & (across > -0.27 * (1 - up / 0.82))
        hull = (np.abs(across - 0.05) < 0.42 - 0.6 * (0.05 - up).clip(0) * 1.2) & (up < 0.0) & (up > -0.11)
        shimmer = 0.05 * np.sin(y / 3.4 + number) * (1 + 4 * (-up - 0.1).clip(0))
        glow = (up < -0.12) & (up > -0.75) & (np.abs(across - 0.06 + shimmer) < 0.2 * (1 + up / 0.8))
        tone = np.clip(0.4 + 0.9 * (0.45 - up) * 0.7 - across * facing * 0.9, 0, 1) + 0.1 * grid.noise(rng, 20)
        for part, (mask, fill, lean) in enumerate(
            (
                (glow, ramp(sail, tone) * 0.82, 0.0),
                (main, ramp(sail, tone), np.pi / 2 - facing * 0.25),
                (jib, ramp(sail, tone + 0.25), np.pi / 2 + facing * 0.3),
                (hull, ramp(f"{shade} 241638 120c24", -up * 9), 0.0),
            )
        ):
            colour[mask] = fill[mask]
            angle = np.where(mask, lean, angle)
            detail[mask] = 0.55 if part == 0 else 0.8
            region[mask] = 1000 + 10 * number + part
        mast = (np.abs(across) < 0.014) & (up > -0.05) & (up < 1.05)
        colour[mast], region[mast], detail[mast] = palette("2a1430")[0], 1009 + 10 * number, 1
        angle = np.where(mast, np.pi / 2, angle)
    return Subject(grid, colour, angle.astype(np.float32), region), detail.astype(np.float32)
