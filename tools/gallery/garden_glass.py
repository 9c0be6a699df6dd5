"""`garden-glass`: a tree in blossom by a river at sunrise, leaded in mouth-blown glass with light behind it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from tools.gallery.colour import ramp, saturated, vary
from tools.gallery.grid import Array, Grid, Labels, Mask, Rng, scatter
from tools.gallery.relief import lit
from tools.gallery.tiles import border_distance

SIZE = (576, 768)
_SUN = (190.0, 226.0)


def render(rng: Rng) -> Array:
    """The finished picture at twice its printed size."""
    grid = Grid(*SIZE, 2)
    pane, tint, heavy = _panes(grid, rng)
    to_lead = border_distance(pane, grid.scale)
    to_bar = border_distance(heavy, grid.scale)
    count = int(pane.max()) + 1
    glass = tint[pane]
    lean = rng.uniform(-0.12, 0.12, (count, 2)).astype(np.float32)[pane]
    reams = (
        grid.noise(rng, 9, octaves=3, stretch=(0.6, 3.0)),
        grid.noise(rng, 10, octaves=3, stretch=(3.0, 0.6)),
    )
    ream = np.where((rng.random(count) < 0.5)[pane], *reams)
    thick = 0.17 * ream + lean[..., 0] * grid.noise(rng, 60) * 3 + 0.1 * grid.noise(rng, 110)
    seeds = np.clip(grid.noise(rng, 3.2) - 2.1, 0, 1)
    glow = 0.74 + 0.34 * np.clip(to_lead / 13, 0, 1) ** 0.7 + thick
    glass = glass * np.clip(glow, 0.25, 1.7)[..., None] + 0.22 * np.clip(glow - 1, 0, 1)[..., None]
    glass = glass + 0.25 * seeds[..., None]
    grime = np.clip(1 - to_lead / 5.5, 0, 1) * (0.6 + 0.3 * grid.noise(rng, 12, octaves=2))
    glass = glass * (1 - 0.55 * np.clip(grime, 0, 1))[..., None]

    width = 2.0 + 0.35 * grid.noise(rng, 40) + 1.2 * (to_bar < 4)
    lead = np.clip((width - to_lead) * grid.scale, 0, 1)
    came = np.sqrt(np.clip(1 - (to_lead / (width + 0.4)) ** 2, 0, 1)) * 4 + 0.3 * grid.noise(rng, 4, octaves=2)
    metal = lit(
        ramp("101018 24242c 3c3a40", 0.4 + 0.2 * grid.noise(rng, 8, octaves=2)),
        came * lead,
        gloss=0.5,
        ambient=0.3,
    )
    picture = (
        lit(glass, 1.1 * grid.noise(rng, 7, octaves=2), gloss=0.2, ambient=0.5) * (1 - lead[..., None])
        + metal * lead[..., None]
    )
    halo = np.stack([gaussian_filter(picture[..., c], 9) for c in range(3)], axis=-1)
    picture = 1 - (1 - picture) * (1 - 0.22 * np.clip(halo - 0.15, 0, 1))
    return saturated(picture, 1.12)


def _panes(grid: Grid, rng: Rng) -> tuple[Labels, Array, Labels]:
    """The pane every pixel belongs to, the colour of each pane, and the larger shapes between the heavy leads."""
    x, y = grid.x, grid.y
    shape, shapes = np.zeros(grid.shape, np.int32), list[tuple[Array, str, Array]]()
    away, around = np.hypot(x - _SUN[0], y - _SUN[1]), np.arctan2(y - _SUN[1], x - _SUN[0])

    def put(mask: Mask, cell: Array | Labels, colours: str, tone: Array) -> None:
        number = len(shapes)
        shape[mask] = number
        shapes.append((np.asarray(cell), colours, np.broadcast_to(tone, grid.shape)))

    wave_around = around + 0.08 * np.sin(away / 38)
    ray = np.floor((wave_around + np.pi) / (2 * np.pi) * 22)
    ring = np.floor(away / 62 + 0.5 * (ray % 2))
    sky = "fff2b0 ffc24a f58a3a e0587a 8a4ab0 3f4fc0 1f3a9a 142a78"
    put(np.ones(grid.shape, bool), ray * 100 + ring, sky, away / 560)
    for radius, cuts, colours in (
        (84, 14, "ffb52e f2761e"),
        (58, 8, "ffe05a ffc02e"),
        (28, 1, "fff6c0 fff0a0"),
    ):
        put(
            away < radius,
            np.floor((around + np.pi + radius) / (2 * np.pi) * cuts),
            colours,
            0.5 + 0.5 * np.cos(around * cuts),
        )

    for base, swing, length, phase, colours, size in (
        (420, 26, 380, 0.5, "2a3f8a 3f6ab8 6a8fd0", 46),
        (462, 30, 300, 2.6, "0f5a5e 1f8a72 58b88a", 42),
        (512, 24, 340, 4.4, "1f6a2a 4f9a2e a8cc3e", 40),
    ):
        top = base + swing * np.sin(x * 2 * np.pi / length + phase)
        depth = y - top
        cell = np.floor(depth / 24) * 1000 + np.floor((x + depth * 0.5 + 14 * np.floor(depth / 24)) / size)
        put(depth > 0, cell, colours, 0.6 - depth / 130 + 0.2 * grid.noise(rng, 50))

    meander = 130 * np.clip((y - 500) / 260, 0, 1)
    middle = 330 - meander * np.sin((y - 520) / 105)
    half = 16 + (y - 520) * 0.36
    river = (y > 522) & (np.abs(x - middle) < half)
    flow = (x - middle) / np.maximum(half, 1)
    cell = np.floor((flow + 1) * 2.5) * 100 + np.floor((y + 16 * np.floor((flow + 1) * 2.5)) / 44)
    put(river, cell, "143f9a 1f7ac0 4fc0d8 c0f0e8 ffd890", 0.45 + 0.4 * np.sin(y / 23 + flow * 3))

    trunk_x = 428 + 16 * np.sin(y / 58)
    trunk = (
        (np.abs(x - trunk_x) < 13 + np.clip(y - 640, 0, 90) ** 1.25 * 0.12 + 5 * np.clip(420 - y, 0, 90) / 90)
        & (y > 236)
        & (y < 716)
    )
    put(trunk, np.floor(y / 40) * 10 + (x > trunk_x + 3), "4a2038 7a3a34 a8602e", 0.5 + 0.6 * np.sin(y / 17))
    for foot, head, thick in (
        ((426, 430), (300, 292), 7),
        ((432, 400), (536, 268), 7),
        ((432, 352), (352, 196), 6),
        ((436, 330), (494, 160), 6),
    ):
        run = np.clip(
            ((x - foot[0]) * (head[0] - foot[0]) + (y - foot[1]) * (head[1] - foot[1]))
            / ((head[0] - foot[0]) ** 2 + (head[1] - foot[1]) ** 2),
            0,
            1,
        )
        bend = 16 * np.sin(run * np.pi)
        gap = np.hypot(x - foot[0] - run * (head[0] - foot[0]) - bend, y - foot[1] - run * (head[1] - foot[1]))
        put(gap < thick * (1.25 - 0.6 * run), np.floor(run * 3), "5a2838 8a4a34", run)

    crown_x, crown_y = 430.0, 208.0
    crown = (
        np.hypot((x - crown_x) / 150, (y - crown_y) / 168) + 0.12 * np.sin(np.arctan2(y - crown_y, x - crown_x) * 7 + 1)
        < 1
    )
    leaves, rosette = _blossoms(grid, rng, 50)
    put(crown & ~rosette, leaves // 10, "0f4a3a 1f7a4a 5fb04e b8d04a", 0.5 + 0.4 * grid.noise(rng, 40))
    centre = leaves % 10 == 9
    rosy = np.where(centre, 1.0, 0.36 + 0.2 * grid.noise(rng, 70) - (y - crown_y) / 500)
    put(crown & rosette, leaves, "a0143c d82a5e f4588a ff9ab0 ffd05a", np.clip(rosy, 0, 1))
    flowers, bloom = _blossoms(grid, rng, 58)
    bank = (y > 640 + 14 * np.sin(x / 60)) & ~((shape == 7) & (np.abs(flow) < 0.8)) & (shape != 8)
    tulip = "e0281f ff6a2a ffc23a fff0b0 8a3ac0"
    put(bank & bloom, flowers, tulip, 0.5 + 0.45 * grid.noise(rng, 46))

    pane = np.zeros(grid.shape, np.int32)
    tints, total = [], 0
    for number, (cell, colours, tone) in enumerate(shapes):
        mask = shape == number
        names, inverse = np.unique(cell[mask], return_inverse=True)
        pane[mask] = total + inverse
        if len(names):
            mean = np.bincount(inverse, tone[mask]) / np.bincount(inverse)
            tints.append(vary(ramp(colours, mean), rng, hue=0.13, chroma=0.15, light=0.15))
            total += len(names)
    return pane, np.concatenate(tints), shape


def _blossoms(grid: Grid, rng: Rng, spacing_px: float) -> tuple[Labels, Mask]:
    """Rosettes: a petal number for every pixel, and where the rosettes are rather than the gaps between them."""
    points = scatter(grid, spacing_px, rng)
    distance, owner = cKDTree(points).query(np.stack([grid.x.ravel(), grid.y.ravel()], axis=1), workers=1)
    owner, distance = owner.reshape(grid.shape), distance.reshape(grid.shape)
    turn = np.arctan2(grid.y - points[owner, 1], grid.x - points[owner, 0]) + rng.uniform(0, 6, len(points))[owner]
    petal = np.floor((turn % (2 * np.pi)) / (2 * np.pi) * 5)
    eye = distance < spacing_px * 0.15
    reach = spacing_px * (0.46 + 0.1 * np.abs(np.sin(turn * 2.5)))
    return (owner * 10 + np.where(eye, 9, petal)).astype(np.int32), distance < reach
