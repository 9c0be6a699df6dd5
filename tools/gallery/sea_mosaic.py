"""`sea-mosaic`: two fish leaping from the waves before a golden sun, in tesserae of glass and gold."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from tools.gallery.colour import palette, ramp, vary
from tools.gallery.grid import Array, Grid, Labels, Rng
from tools.gallery.relief import lit
from tools.gallery.tiles import border_distance, cells, laid

SIZE = (768, 576)
_TILE_PX = 10.5
_GROUT_PX = 0.85


def render(rng: Rng) -> Array:
    """The finished picture at twice its printed size."""
    plan = Grid(*SIZE)
    colour, angle, region = _subject(plan, rng)
    centres = laid(plan, angle, region, _TILE_PX, rng)
    fine = Grid(*SIZE, 2)
    x, y = fine.warped(rng, 14, 0.35)
    shaken = Grid(*SIZE, 2)
    shaken.x, shaken.y = x, y
    owner, margin = cells(shaken, centres, np.repeat(np.repeat(angle, 2, 0), 2, 1))

    tint = vary(np.asarray(plan.read(colour, centres), np.float32), rng, hue=0.15, chroma=0.18, light=0.15)
    chipped = _GROUT_PX * rng.uniform(0.7, 1.5, len(centres)).astype(np.float32)[owner]
    face = np.clip((margin - chipped) / 0.5, 0, 1)
    bevel = np.clip((margin - chipped) / 2.2, 0, 1)
    tilt = rng.normal(0, 0.16, (len(centres), 2)).astype(np.float32)[owner]
    offset = np.stack([x, y], axis=-1) - centres[owner]
    rough = 0.22 * fine.noise(rng, 5, octaves=2) + 0.3 * fine.noise(rng, 14)
    height = 2.4 * np.sqrt(bevel) + face * ((tilt * offset).sum(-1) + rough)
    veins = 0.05 * fine.noise(rng, 6, octaves=2)[..., None]
    grout = ramp("2e2a33 57505a 7a7068", 0.5 + 0.22 * fine.noise(rng, 3, octaves=3))
    picture = grout + face[..., None] * (tint[owner] * (1 + veins) - grout)
    lamp = 1 + 0.09 * fine.noise(rng, 260)
    return np.clip(lit(picture, height * 1.5, gloss=0.5, soften_px=0.9) * lamp[..., None], 0, 1).astype(np.float32)


def _subject(grid: Grid, rng: Rng) -> tuple[Array, Array, Labels]:
    x, y = grid.x, grid.y
    sun_x, sun_y, sun_r = 500.0, 190.0, 92.0
    away, around = np.hypot(x - sun_x, y - sun_y), np.arctan2(y - sun_y, x - sun_x)
    ring = away / 42 + 0.25 * np.sin(around * 16)
    sky = ramp("f2f0c8 a8dcc8 5cbcbc 2f98b0 1f6fa0 1a4a8a 142c66", (away - sun_r) / 400 + 0.09 * np.sin(ring * 3.1))
    angle = around + np.pi / 2
    region = np.floor(ring / 2).astype(np.int32)

    rays = away < sun_r + 62 * (0.5 + 0.5 * np.cos(around * 14)) ** 1.3
    region = np.where(rays, 20, region)
    sky[rays] = ramp("f7a81e ee7a1a d04a1a a82a1a", (away - sun_r) / 52)[rays]
    for radius, label, name in (
        (sun_r, 21, "c83a1a"),
        (sun_r * 0.87, 22, "f08a1a"),
        (sun_r * 0.68, 23, "ffc42e"),
        (sun_r * 0.4, 24, "ffe98a"),
    ):
        inside = away < radius
        sky[inside] = palette(name)[0]
        region = np.where(inside, label, region)
    colour = sky

    waves = (
        (330, 22, 150, 0.4, "bfe6dc 4fb8b8 1f86a0 176a94"),
        (372, 26, 190, 2.2, "e8f4e4 58c4b0 17829a 0f4f86"),
        (424, 28, 230, 4.0, "f4f4e0 3fa8c0 1560a0 0b2f6e"),
        (482, 26, 260, 5.3, "d8f0e0 2f9aa8 0f4a86 0a2358"),
        (536, 20, 210, 1.0, "c0e8e0 1f86a0 0b3a78 081a48"),
    )
    for number, (base, swing, length, phase, colours) in enumerate(waves):
        turn = x * 2 * np.pi / length + phase
        top = base - swing * np.abs(np.sin(turn / 2)) ** 1.4 + 5 * np.sin(turn * 0.37)
        depth = y - top
        inside = depth > 0
        band = np.minimum(np.floor(depth / 11.5), 5)
        pick = ramp(colours, np.where(band == 0, 0, 0.22 + 0.16 * band) + 0.05 * grid.noise(rng, 40))
        colour = np.where(inside[..., None], pick, colour)
        slope = np.gradient(top, axis=1)
        angle = np.where(inside, np.arctan(slope), angle)
        region = np.where(inside, 30 + 10 * number + band, region).astype(np.int32)

    for number, (centre_x, centre_y, long, lean, colours) in enumerate(
        (
            (212.0, 208.0, 128.0, -0.62, "fff0c8 f7a02c e2531f a8231f"),
            (330.0, 348.0, 100.0, -0.3, "f6f6d8 f2b83a e0702a 9a2a3a"),
        )
    ):
        cosine, sine = np.cos(lean), np.sin(lean)
        u = ((x - centre_x) * cosine + (y - centre_y) * sine) / long
        v = ((y - centre_y) * cosine - (x - centre_x) * sine) / long + 0.2 * u**2
        half = 0.37 * np.sqrt(np.clip(1 - u**2, 0, 1)) * (1 - 0.28 * (1 - u) / 2)
        tail = (u < -0.84) & (u > -1.5 + 0.25 * np.cos(v * 8)) & (np.abs(v) < 0.08 + 0.75 * (-0.84 - u))
        fin = ((v < 0) & (v > -0.62 + 0.5 * (u - 0.1) ** 2 * 2.5) & (u < 0.35) & (u > -0.6)) | (
            (v > 0) & (v < 0.56 - 1.6 * np.abs(u + 0.02)) & (np.abs(u) < 0.35)
        )
        for mask, label in (((fin | tail), 0), (np.abs(v) < half, 1)):
            scale_row = np.floor((half - np.abs(v)) / 0.085)
            tone = np.where(
                label == 0,
                0.62 + 0.34 * np.sin((u + 2 * v * v) * 22),
                0.45 - 1.05 * v / 0.6 * -1 + 0.14 * (scale_row % 2),
            )
            colour = np.where(mask[..., None], ramp(colours, tone + 0.05 * grid.noise(rng, 16)), colour)
            angle = np.where(mask, lean + np.arctan(-0.4 * u) + (0 if label else 0.9 * np.sign(v) * (u < -0.8)), angle)
            region = np.where(mask, 200 + 20 * number + (scale_row if label else -1), region).astype(np.int32)
        gill = (np.abs(u - 0.5 - 0.12 * np.cos(v * 8)) < 0.045) & (np.abs(v) < half)
        colour[gill], region[gill] = palette("2a4a86")[0], 215 + 20 * number
        eye = np.hypot(u - 0.72, v + 0.05)
        for radius, name, label in ((0.105, "fff6e0", 216), (0.055, "0a1430", 217)):
            colour[eye < radius], region[eye < radius] = palette(name)[0], label + 20 * number
            angle = np.where(eye < radius, np.arctan2(v + 0.05, u - 0.72), angle)

    frame = np.minimum(np.minimum(x, grid.width - x), np.minimum(y, grid.height - y))
    border = np.floor(frame / 10.5).astype(np.int32)
    key = np.where((np.floor((x + y) / 31.5) % 2 > 0)[..., None], palette("c8452a")[0], palette("f0d9a0")[0])
    names = palette("173a6c e9c46a")
    for row in (0, 2):
        colour[border == row] = names[0]
    colour[border == 1] = key[border == 1]
    framed = border < 3
    upright = np.minimum(x, grid.width - x) < np.minimum(y, grid.height - y)
    angle = np.where(framed, np.where(upright, np.pi / 2, 0), angle)
    region = np.where(framed, 400 + border * 2 + upright, region).astype(np.int32)
    smooth = gaussian_filter(np.sin(4 * angle), 3), gaussian_filter(np.cos(4 * angle), 3)
    near = border_distance(region, 1) < 3
    angle = np.where(near, angle, np.arctan2(smooth[0], smooth[1]) / 4)
    return colour, angle.astype(np.float32), region
