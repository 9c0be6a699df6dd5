"""`wave-woodcut`: a lighthouse in a storm at sunrise, cut in wood and printed in four inks."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from scipy.interpolate import CubicSpline
from scipy.ndimage import distance_transform_edt

from tools.gallery.colour import palette
from tools.gallery.grid import Array, Grid, Labels, Mask, Rng, step
from tools.gallery.relief import lit
from tools.gallery.strokes import Brush, Canvas, Subject, paint
from tools.gallery.tiles import border_distance
from tools.gallery.tips import gouges

SIZE = (768, 576)
_PAPER = "f3e4c2"
_KEY = "101c3c"
_SUN = (424.0, 262.0)


class _Block:
    """The drawing on the wood: region, ink of its colour block, darkness of the key, and how the cuts run."""

    def __init__(self, grid: Grid) -> None:
        self.region: Labels = np.zeros(grid.shape, np.int32)
        self.ink: Array = np.zeros((*grid.shape, 3), np.float32)
        self.tone: Array = np.zeros(grid.shape, np.float32)
        self.light: Array = np.zeros(grid.shape, np.float32)
        self.phase: Array = np.zeros(grid.shape, np.float32)

    def put(self, mask: Mask, region: int, ink: str, tone: Array | float, light: Array | float, phase: Array) -> None:
        """`tone` is the share of key ink left standing, `light` the chance of cuts down to the paper."""
        self.region[mask] = region
        self.ink[mask] = palette(ink)[0]
        for field, value in ((self.tone, tone), (self.light, light), (self.phase, phase)):
            field[mask] = np.broadcast_to(value, field.shape)[mask]


def render(rng: Rng) -> Array:
    """The finished picture at twice its printed size."""
    grid = Grid(*SIZE, 2)
    block = _draw(grid, rng)
    down, right = np.gradient(block.phase)
    angle = np.arctan2(right, -down).astype(np.float32)
    edge = border_distance(block.region, grid.scale)
    tips = gouges(rng, 24)

    wobble = 0.16 * grid.noise(rng, 16, octaves=2)
    swell = 0.2 * grid.noise(rng, 34, octaves=2) + 0.1 * grid.noise(rng, 7)
    ridge = np.abs(((block.phase + wobble) % 1) * 2 - 1)
    standing = step(
        -0.14, 0.14, np.clip(block.tone + swell * (block.tone > 0.02) * (block.tone < 0.98), 0, 1.2) - ridge
    )
    standing = np.where(block.tone < 0.02, 0, standing)

    subject = Subject(grid, np.ones((*grid.shape, 3), np.float32), angle, block.region)
    cuts = Canvas(grid, np.zeros(3, np.float32))
    paint(
        cuts,
        subject,
        Brush(tips, 5.5, 42, streak=0, light=0, hue=0, chroma=0, sway=0.05),
        rng,
        spacing_px=8.5,
        where=block.light,
    )
    paint(
        cuts,
        subject,
        Brush(tips, 3.2, 20, streak=0, light=0, hue=0, chroma=0, sway=0.1),
        rng,
        spacing_px=6,
        where=block.light * 0.8,
    )
    chips = Canvas(grid, np.zeros(3, np.float32))
    paint(
        chips,
        subject,
        Brush(tips, 3.0, 24, streak=0, light=0, hue=0, chroma=0, sway=0.12),
        rng,
        spacing_px=8,
        where=0.12 + 0.5 * (block.tone > 0.6),
    )

    key = np.clip(standing - chips.colour[..., 0] * (edge > 2), 0, 1)
    line = step(2.3, 1.4, edge + 0.5 * grid.noise(rng, 9, octaves=2))
    key = np.maximum(key, line * (block.tone > -0.5))
    shift = -3, 2
    colour_block = 1 - np.roll(cuts.colour[..., 0], shift, (0, 1))
    return _printed(grid, np.roll(block.ink, shift, (0, 1)), colour_block, key, rng)


def _printed(grid: Grid, ink: Array, colour_block: Array, key: Array, rng: Rng) -> Array:
    wood = grid.noise(rng, 5, octaves=3, stretch=(14, 0.55)) + 0.5 * grid.noise(rng, 60, stretch=(4, 0.6))
    salt = grid.noise(rng, 2.2, octaves=2)
    coverage = np.clip(1.02 + 0.09 * wood + 0.05 * salt, 0, 1) - 0.6 * (salt > 2.1)
    paper = palette(_PAPER)[0] * (1 + 0.025 * grid.noise(rng, 4, octaves=2) + 0.02 * grid.noise(rng, 120))[..., None]
    picture = paper * (
        1 - (colour_block * np.clip(coverage, 0, 1))[..., None] * (1 - ink * (1 + 0.05 * wood[..., None]))
    )
    dark = np.clip(1.0 + 0.05 * wood + 0.04 * salt, 0, 1) - 0.5 * (salt > 2.3)
    picture = picture + (key * np.clip(dark, 0, 1))[..., None] * (
        palette(_KEY)[0] * (1 + 0.12 * wood[..., None]) - picture
    )
    return lit(np.clip(picture, 0, 1), 0.5 * key + 0.25 * colour_block, gloss=0.03, ambient=0.6)


def _draw(grid: Grid, rng: Rng) -> _Block:
    x, y = grid.x, grid.y
    block = _Block(grid)
    everywhere = np.ones(grid.shape, bool)
    away, around = np.hypot(x - _SUN[0], y - _SUN[1]), np.arctan2(y - _SUN[1], x - _SUN[0])

    rays = np.floor((around + np.pi) / (2 * np.pi) * 36)
    lit_ray = rays % 2 == 0
    fan = (around + np.pi) / (2 * np.pi) * 36 * 6
    coarse = np.where(away < 200 + 46 * np.sin(rays * 2.3), fan / 2, fan)
    tone = np.clip(0.06 + (away - 90) / 640, 0, 0.8)
    block.put(everywhere, 1, "e8a23a", tone + 0.2, np.clip(0.5 - away / 900, 0.1, 1), coarse)
    block.put(lit_ray, 2, "d9502c", tone * 0.75 + 0.04, np.clip(0.42 - away / 900, 0.08, 1), coarse)
    block.put(away < 74, 3, "d9502c", 0.0, 0.1, away / 8)
    block.put(away < 54, 4, "f2b33c", 0.0, 0.35, away / 8)

    for number, (cx, cy, size) in enumerate(
        ((96, 120, 62), (520, 92, 74), (690, 150, 58), (380, 150, 34), (10, 214, 50))
    ):
        for lobe, (ox, oy, share) in enumerate(
            ((-1.1, 0.2, 0.7), (0, -0.2, 1.0), (1.05, 0.15, 0.75), (1.9, 0.35, 0.45), (-1.9, 0.4, 0.4))
        ):
            gap = np.hypot(x - cx - ox * size, (y - cy - oy * size) * 1.5)
            mask = (gap < share * size) & (y < cy + size * 0.36)
            dark = np.clip((y - cy + size * 0.4) / size, 0.0, 0.85)
            block.put(mask, 10 + 10 * number + lobe, "f3e4c2" if lobe % 2 else "8fb3a8", dark, 0.3, gap / 6)

    horizon = 336 + 5 * np.sin(x / 23)
    block.put(y > horizon, 5, "2f8a8a", 0.5, 0.4, y / 5.5 + 0.5 * np.sin(x / 17))

    cliff = (x > 548 + 34 * np.sin(y / 37) + 14 * np.sin(y / 11) - (y - 300) * 0.35) & (y > 286 + 8 * np.sin(x / 19))
    slant = (x * 0.5 + y * 0.35 + 9 * np.sin(y / 21) + 6 * np.sin(x / 13)) / 7
    block.put(
        cliff,
        80,
        "8a5a3a",
        np.clip(0.45 + 0.004 * (x - 560) + 0.25 * np.sin(x / 29 + y / 47), 0.15, 0.92),
        0.22,
        slant,
    )
    grass = cliff & (y < 306 + 8 * np.sin(x / 19) + 5 * np.abs(np.sin(x / 7)))
    block.put(grass, 81, "4f8a5a", 0.35, 0.4, x / 5)
    up = (290 - y) / 190
    half = 25 - 9 * up
    for band in range(6):
        mask = (up > band / 6 - 0.02) & (up <= (band + 1) / 6) & (np.abs(x - 664) < half)
        shade = np.clip(0.35 + (x - 664) / 34, 0, 0.9)
        block.put(mask, 90 + band, "d9502c" if band % 2 else "f3e4c2", shade, 0.1, y / 5)
    block.put((np.abs(x - 664) < 22) & (np.abs(y - 100) < 4), 97, "8a5a3a", 0.9, 0.0, y / 5)
    block.put((np.abs(x - 664) < 12) & (y > 74) & (y < 97), 98, "f2b33c", 0.0, 0.0, y / 5)
    block.put(
        (np.abs(x - 664) < (y - 52) * 0.75) & (y > 52) & (y <= 74),
        99,
        "d9502c",
        np.clip((x - 655) / 20, 0, 0.9),
        0.0,
        x / 5,
    )

    for number, (base, swing, length, phase, ink) in enumerate(
        (
            (372, 24, 190, 0.3, "4fa8a0"),
            (420, 36, 250, 2.4, "2f8a8a"),
            (478, 44, 320, 4.6, "4fa8a0"),
            (536, 34, 280, 1.2, "1f6f86"),
        )
    ):
        turn = x * 2 * np.pi / length + phase
        crest = np.abs(np.sin(turn / 2 + 0.35 * np.sin(turn))) ** 1.3
        top = base - swing * crest
        depth = y - top
        hollow = 1 - crest
        dark = np.clip(0.2 + 0.5 * hollow + depth / 190 + 0.15 * np.sin(turn + depth / 30), 0.08, 0.92)
        cuts = (depth / 6.8) * (1 - 0.25 * crest) + 0.9 * np.sin(turn * 1.5 + depth / 34)
        block.put(depth > 0, 110 + number * 4, ink, dark, 0.5 * crest * step(80, 0, depth), cuts)
        foam = (depth > -5 - 3 * np.sin(x / 6.1)) & (
            depth < 8 + 13 * crest**2 * (0.5 + 0.5 * np.sin(x / 8.7 + number)) + 3 * np.sin(x / 4.1)
        )
        block.put(foam, 111 + number * 4, "f3e4c2", 0.3 * step(1, 12, depth), 0.0, depth / 5.4)

    _breaker(block, grid)
    return block


def _breaker(block: _Block, grid: Grid) -> None:
    """The great wave at the left: a body that climbs, a lip that rolls over its hollow, and claws of foam."""
    x, y = grid.x, grid.y
    back = _spline(((-20, 352), (50, 300), (104, 236), (160, 190), (226, 172), (286, 190), (322, 236), (330, 286)))
    hollow = _spline(
        (
            (330, 286),
            (306, 252),
            (268, 238),
            (228, 252),
            (206, 296),
            (206, 352),
            (232, 410),
            (292, 458),
            (372, 490),
            (470, 520),
            (520, 600),
        )
    )
    body = _filled(grid, np.concatenate([back, hollow, [(-20, 600)]]))
    inside = distance_transform_edt(~_filled(grid, np.concatenate([hollow, [(600, 600), (600, 286)]]))) / grid.scale
    rim = distance_transform_edt(~_along(grid, back, 1.5)) / grid.scale
    dark = np.clip(0.26 + 0.4 * np.sin(inside / 23) ** 2 + 0.35 * step(40, 0, inside) + 0.0006 * (y - 250), 0.1, 0.9)
    block.put(body, 140, "1f6f86", dark, 0.3 + 0.4 * step(60, 110, inside), inside / 7.2 + 0.3 * np.sin(y / 31))
    stripe = body & (np.abs((inside % 46) - 23) < 6 + 3 * np.sin(y / 19))
    block.put(stripe, 141, "8fc8b4", np.clip(dark - 0.25, 0.06, 1), 0.3, inside / 7.2 + 0.3 * np.sin(y / 31))

    crest = np.clip((x - 60) / 130, 0, 1)
    foam = body & (rim < crest * (13 + 7 * np.sin(x / 7.3 + y / 9.1) + 4 * np.sin(x / 3.7)))
    for number, (px, py) in enumerate(back[8::4]):
        size = 7 + 4.5 * np.sin(number * 2.3) ** 2 + 5 * number / len(back[8::4])
        heading = -1.9 + 2.6 * number / len(back[8::4])
        for _ in range(5):
            px, py = px + size * 0.75 * np.cos(heading), py + size * 0.75 * np.sin(heading)
            heading, size = heading + 0.5, size * 0.8
            foam |= np.hypot(x - px, y - py) < size
    for number in range(14):
        turn, far = -2.4 + 0.135 * number, 1.12 + 0.11 * (number * 7 % 5) / 4
        sx, sy = 236 + 118 * far * np.cos(turn), 284 + 124 * far * np.sin(turn)
        foam |= np.hypot(x - sx, y - sy) < 3.4 + 2.2 * np.sin(number * 1.7) ** 2
    shade = 0.34 * step(2, 16, distance_transform_edt(foam) / grid.scale) + 0.1 * step(200, 330, x)
    block.put(foam, 150, "f3e4c2", shade, 0.0, rim / 5.2)


def _spline(points: tuple[tuple[float, float], ...]) -> Array:
    """A smooth line (n, 2) through the points."""
    at = np.arange(len(points))
    return np.asarray(CubicSpline(at, np.array(points))(np.linspace(0, len(points) - 1, 12 * len(points))), np.float32)


def _filled(grid: Grid, outline: Array) -> Mask:
    image = Image.new("1", grid.shape[::-1])
    ImageDraw.Draw(image).polygon([tuple(point) for point in outline * grid.scale], fill=1)
    return np.asarray(image)


def _along(grid: Grid, line: Array, width_px: float) -> Mask:
    image = Image.new("1", grid.shape[::-1])
    ImageDraw.Draw(image).line(
        [tuple(point) for point in line * grid.scale], fill=1, width=round(width_px * grid.scale)
    )
    return np.asarray(image)
