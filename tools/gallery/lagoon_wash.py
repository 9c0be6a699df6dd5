"""`lagoon-wash`: domes and towers over a lagoon in the morning, in loose watercolour, wet in wet and then glazed."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from tools.gallery.colour import palette, ramp
from tools.gallery.grid import Array, Grid, Mask, Rng, step
from tools.gallery.paper import Sheet
from tools.gallery.strokes import Brush, Canvas, Subject, paint
from tools.gallery.tips import bristles

SIZE = (768, 576)
_HORIZON = 330.0


def render(rng: Rng) -> Array:
    """The finished picture at twice its printed size."""
    grid = Grid(*SIZE, 2)
    sheet = Sheet(grid, palette("fbf6ea")[0], rng, tooth_px=2.2)
    _sky(sheet, rng)
    skyline = _city(sheet, rng)
    _water(sheet, skyline, rng)
    _boats(sheet, rng)
    _splashes(sheet, rng)
    return sheet.framed()


def _sky(sheet: Sheet, rng: Rng) -> None:
    grid = sheet.grid
    wet = grid.y / _HORIZON + 0.16 * grid.noise(rng, 150, octaves=4)
    colour = ramp("2a5fc0 4a8cdc 8cc0e4 e0ccd8 f8b890 fbcb6a fde2a0", wet)
    clouds = step(0.35, 0.9, grid.noise(rng, 130, octaves=5, stretch=(1.8, 0.9)))
    sheet.wash((1 - 0.82 * clouds) * step(_HORIZON + 60, _HORIZON, grid.y), colour, rng, strength=1.05, bloom=0.8)
    under = clouds * step(-0.2, 1.0, grid.noise(rng, 50, octaves=3)) * step(_HORIZON, 150, grid.y)
    sheet.wash(under, ramp("8a8ac8 c89ab8 f0b090", wet), rng, strength=0.7, edge=1.2)
    veil = step(0.5, 0.62, grid.noise(rng, 160, octaves=5, stretch=(2.5, 0.7))) * step(210, 40, grid.y)
    sheet.wash(veil, palette("4a78c8")[0], rng, strength=0.45, edge=1.6, bloom=1.0)


def _city(sheet: Sheet, rng: Rng) -> Array:
    """Paints the buildings, the far ones first, and returns their outline as a mask."""
    whole = np.zeros(sheet.grid.shape, np.float32)
    _towers(sheet, whole, rng)
    _domes(sheet, whole, rng)
    _houses(sheet, whole, rng)
    quay = ((sheet.grid.y > _HORIZON - 5) & (sheet.grid.y < _HORIZON + 5)).astype(np.float32)
    sheet.wash(gaussian_filter(quay, 1.2), palette("4a3a6a")[0], rng, strength=0.9, edge=0.6)
    return whole


def _shape(sheet: Sheet, mask: Mask, name: str, strength: float, rng: Rng, *, soft: float = 1.2) -> None:
    area = gaussian_filter(mask.astype(np.float32), soft)
    sheet.wash(area, palette(name)[0], rng, strength=strength, edge=1.25, bloom=0.8)


def _towers(sheet: Sheet, whole: Array, rng: Rng) -> None:
    x, y = sheet.grid.warped(rng, 26, 0.9)
    for centre, top, half, colours in (
        (448.0, 84.0, 16.0, "d8623a"),
        (690.0, 160.0, 12.0, "e8a860"),
        (96.0, 168.0, 11.0, "c8704a"),
        (520.0, 214.0, 8.0, "e0a070"),
    ):
        shaft = (np.abs(x - centre) < half) & (y > top + 50) & (y < _HORIZON)
        spire = (np.abs(x - centre) < np.clip((y - top) * half / 44, 0, half)) & (y <= top + 46) & (y > top)
        sheet.reserve(0.9 * gaussian_filter((shaft | spire).astype(np.float32), 1.2))
        _shape(sheet, shaft, colours, 1.2, rng)
        _shape(sheet, spire, "2f8a86", 1.3, rng)
        _shape(sheet, shaft & (x > centre + half * 0.25), "6a5ab0", 0.8, rng)
        slots = np.abs((x - centre) % (half * 0.8) - half * 0.4) < half * 0.22
        _shape(sheet, shaft & slots & (y > top + 62) & (y < top + 84), "2a2050", 1.5, rng, soft=0.8)
        np.maximum(whole, shaft | spire, out=whole)


def _domes(sheet: Sheet, whole: Array, rng: Rng) -> None:
    x, y = sheet.grid.warped(rng, 26, 0.9)
    for centre, base, radius, colours in (
        (318.0, 262.0, 32.0, "7ab0b8"),
        (236.0, 236.0, 56.0, "5aa0a4"),
        (596.0, 246.0, 42.0, "4a94a8"),
    ):
        drum = (np.abs(x - centre) < radius * 0.86) & (y > base - 6) & (y < _HORIZON)
        dome = (np.hypot(x - centre, (y - base) / 1.18) < radius) & (y < base)
        lantern = (np.abs(x - centre) < np.clip((y - base + radius * 1.95) / 5, 0, radius * 0.16)) & (y < base - radius)
        sheet.reserve(0.92 * gaussian_filter((dome | drum | lantern).astype(np.float32), 1.2))
        _shape(sheet, drum, "f0cf9a", 1.0, rng)
        _shape(sheet, dome | lantern, colours, 1.15, rng)
        body = gaussian_filter(dome.astype(np.float32), 1.2)
        shade = body * step(centre - 0.1 * radius, centre + 0.7 * radius, x + 0.25 * (y - base))
        sheet.wash(shade, palette("3a4a9a")[0], rng, strength=0.9, edge=0.7)
        bulge = np.sqrt(np.clip(radius**2 - (y - base) ** 2 / 1.4, 40, None))
        sheet.wash(
            body * step(0.5, 0.9, np.cos((x - centre) / bulge * 9)),
            palette("2a5a7a")[0],
            rng,
            strength=0.45,
            edge=0.3,
        )
        arches = drum & (np.abs((x - centre) % 15 - 7.5) < 2.6) & (y > base + 8) & (y < base + 34)
        _shape(sheet, arches, "4a3a7a", 0.9, rng, soft=1.0)
        np.maximum(whole, dome | drum | lantern, out=whole)


def _houses(sheet: Sheet, whole: Array, rng: Rng) -> None:
    x, y = sheet.grid.warped(rng, 26, 0.9)
    walls = ["e89a4a", "d8643a", "f2c078", "c8504a", "ecb8a8", "d0904a", "f4d8a8", "d8806a"]
    left, number = -14.0, 0
    while left < SIZE[0]:
        wide, tall = rng.uniform(34, 74), rng.choice([34.0, 48.0, 62.0, 78.0, 104.0]) + rng.uniform(-6, 6)
        across = (x > left) & (x < left + wide)
        block = across & (y > _HORIZON - tall) & (y < _HORIZON)
        gable = across & (y > _HORIZON - tall - 16 + np.abs(x - left - wide / 2) * 32 / wide) & (y <= _HORIZON - tall)
        sheet.reserve(0.93 * gaussian_filter((block | gable).astype(np.float32), 1.2))
        _shape(sheet, block, walls[number % len(walls)], rng.uniform(0.85, 1.15), rng)
        _shape(sheet, gable, "b8402c", 1.1, rng)
        _shape(sheet, block & (x > left + wide * 0.58), "6a5ab0", 0.65, rng)
        u, v = (x - left) % 13, (y - _HORIZON) % 21
        panes = block & (np.abs(u - 6.5) < 2.3) & (np.abs(v - 10) < 5.5) & (y < _HORIZON - 14)
        panes &= np.sin(np.floor((x - left) / 13) * 7 + np.floor((y - _HORIZON) / 21) * 5 + number) > -0.5
        _shape(sheet, panes, "3a2f6a", 1.2, rng, soft=1.0)
        door = np.abs((x - left) % 26 - 13)
        _shape(sheet, block & (door < 5) & (y > _HORIZON - 15 + 0.2 * door**2), "2a2a5a", 1.3, rng, soft=1.0)
        np.maximum(whole, block | gable, out=whole)
        left += wide + rng.uniform(-4, 3)
        number += 1


def _water(sheet: Sheet, skyline: Array, rng: Rng) -> None:
    grid = sheet.grid
    x, y = grid.x, grid.y
    depth = np.clip((y - _HORIZON) / (SIZE[1] - _HORIZON), 0, 1)
    wet = depth + 0.14 * grid.noise(rng, 120, octaves=4, stretch=(2.2, 0.8))
    lagoon = step(_HORIZON + 2, _HORIZON + 6, y + 2 * grid.noise(rng, 30))
    sheet.wash(lagoon, ramp("fbd9a0 c8dcc8 7fd0c8 34a8b8 1f7ab0 1a5098", wet), rng, strength=1.05, bloom=0.9)

    sway = (1.5 + 13 * depth) * np.sin(y / (2.6 + 7 * depth) + 1.4 * grid.noise(rng, 40, stretch=(2, 1)))
    at = np.stack([x + sway, np.clip(_HORIZON - (y - _HORIZON) / 0.8, 0, None)], axis=-1)
    reflected = np.asarray(grid.read(skyline, at), np.float32) * lagoon * step(0.85, 0.1, depth)
    source = gaussian_filter(np.asarray(grid.read(sheet.picture, at), np.float32), (1.5, 1.5, 0))
    sheet.reserve(0.4 * gaussian_filter(reflected, 2))
    sheet.wash(gaussian_filter(reflected, 1.4), source, rng, strength=0.85, edge=0.9)

    tips = bristles(rng, 16, dryness=0.55)
    coarse = Grid(*SIZE)
    angle = 0.05 * coarse.noise(rng, 60)
    below = coarse.y - _HORIZON
    for tone, width_px, length_px, spacing_px, chance in (
        ("2a7ab0 1a5f9a 143f86", 9.0, 60.0, 18.0, 0.5),
        ("1f8a9a 12608a 0e3070", 6.0, 34.0, 15.0, 0.42),
        ("7a5aa0 3a4a9a 1f2a70", 4.2, 22.0, 16.0, 0.35),
    ):
        subject = Subject(coarse, ramp(tone, below / 240), angle, np.zeros(coarse.shape, np.int32))
        layer = Canvas(grid, palette("ffffff")[0])
        brush = Brush(tips, width_px, length_px, opacity=0.62, streak=0.12, sway=0.06)
        paint(layer, subject, brush, rng, spacing_px=spacing_px, where=chance * step(12, 110, below))
        sheet.print_layer(layer.colour)


def _boats(sheet: Sheet, rng: Rng) -> None:
    grid = sheet.grid
    x, y = grid.warped(rng, 30, 0.9)
    for centre, floor, long, turn in (
        (196.0, 470.0, 120.0, 1),
        (560.0, 428.0, 84.0, -1),
        (404.0, 378.0, 40.0, 1),
    ):
        u = (x - centre) * turn / long
        keel = floor - long * 0.28 * np.abs(u) ** 2.6
        hull = (np.abs(u) < 1) & (y < keel) & (y > keel - long * 0.13 * (1 - 0.6 * np.abs(u)) - 1.5)
        prow = (np.abs(u - 1 + 0.05 * np.cos(y / 5)) < 0.025) & (y < keel) & (y > floor - long * 0.52)
        canopy = (np.abs(u + 0.1) < 0.24) & (y < floor - long * 0.1) & (y > floor - long * 0.3 + 26 * (u + 0.1) ** 2)
        figure = (np.abs(u + 0.68) < 0.045) & (y < floor - long * 0.14) & (y > floor - long * 0.52)
        head = np.hypot(x - centre + turn * 0.67 * long, y - floor + long * 0.57) < long * 0.05
        oar = np.abs((x - centre) * turn + 0.68 * long + (y - floor + long * 0.3) * 0.75) < 1.3
        oar &= (y > floor - long * 0.42) & (y < floor + long * 0.16)
        shadow = (np.abs(u + 0.02 * np.sin(y / 2.7)) < 0.86) & (y > keel) & (y < floor + long * 0.2 * (1 - u**2))
        sheet.reserve(0.8 * gaussian_filter((canopy | figure | head).astype(np.float32), 1.0))
        for mask, name, strength in (
            (shadow, "1a2f6a", 0.9),
            (hull, "1c1838", 1.7),
            (prow, "1c1838", 1.7),
            (canopy, "c8302f", 1.5),
            (figure, "2f2a6a", 1.6),
            (head, "8a4a3a", 1.3),
            (oar, "4a2a2a", 1.4),
        ):
            sheet.wash(
                gaussian_filter(mask.astype(np.float32), 1.0),
                palette(name)[0],
                rng,
                strength=strength,
                edge=0.9,
                edge_px=2,
            )
    for centre, top, floor in (
        (40.0, 372.0, 548.0),
        (66.0, 396.0, 536.0),
        (660.0, 360.0, 520.0),
        (690.0, 384.0, 540.0),
        (722.0, 350.0, 556.0),
    ):
        lean = (y - floor) * 0.03
        pole = (np.abs(x - centre - lean) < 4.4) & (y > top) & (y < floor)
        stripes = pole & (((y + x * 0.6) % 26) < 13)
        mirror = (np.abs(x - centre - lean + 4 * np.sin(y / 3.4)) < 4.4) & (y > floor) & (y < floor + 60)
        for mask, name, strength in (
            (pole, "e8d0b0", 0.9),
            (stripes, "2a4aa0", 1.5),
            (mirror, "2a3a7a", 0.8),
        ):
            sheet.wash(
                gaussian_filter(mask.astype(np.float32), 1.0),
                palette(name)[0],
                rng,
                strength=strength,
                edge=1.0,
                edge_px=2,
            )


def _splashes(sheet: Sheet, rng: Rng) -> None:
    grid = sheet.grid
    for name, count in (("2a6ab8", 60), ("d8643a", 40), ("5a4aa0", 40)):
        drops = np.zeros(grid.shape, np.float32)
        for _ in range(count):
            cx, cy, radius = rng.uniform(0, SIZE[0]), rng.uniform(0, SIZE[1]), rng.gamma(1.4, 0.55) + 0.4
            top, left = int(max(cy - 9, 0)) * grid.scale, int(max(cx - 9, 0)) * grid.scale
            box = np.s_[top : top + 18 * grid.scale, left : left + 18 * grid.scale]
            away = np.hypot(grid.x[box] - cx, (grid.y[box] - cy) * rng.uniform(0.8, 1.2))
            drops[box] = np.maximum(drops[box], step(radius + 0.4, radius - 0.4, away))
        sheet.wash(drops, palette(name)[0], rng, strength=0.5, edge=0.5, edge_px=1.5)
