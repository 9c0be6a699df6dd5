"""The hand: strokes traced along a direction field and laid, one over another, on a canvas of colour and height."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tools.gallery.colour import vary
from tools.gallery.grid import Array, Grid, Labels, Rng, scatter
from tools.gallery.tips import ACROSS, ALONG, Tip


class Canvas:
    """What has been painted so far: `colour` (rows, columns, 3) in 0..1 and the `height` of the paint."""

    def __init__(self, grid: Grid, ground: Array) -> None:
        self.grid = grid
        self.colour: Array = np.array(np.broadcast_to(ground, (*grid.shape, 3)), np.float32)
        self.height: Array = np.zeros(grid.shape, np.float32)


@dataclass(frozen=True)
class Subject:
    """What is to be painted: its colour, the angle in radians that strokes take, and regions they don't leave."""

    grid: Grid
    colour: Array
    angle: Array
    region: Labels


@dataclass(frozen=True)
class Brush:
    """One kind of stroke; lengths in px of the finished picture, jitters as deviations."""

    tips: Sequence[Tip]
    width_px: float
    length_px: float
    opacity: float = 1.0
    thickness: float = 1.0
    streak: float = 0.1
    hue: float = 0.08
    chroma: float = 0.15
    light: float = 0.08
    sway: float = 0.08


def paint(
    canvas: Canvas, subject: Subject, brush: Brush, rng: Rng, *, spacing_px: float, where: Array | None = None
) -> None:
    """Cover the subject with strokes `spacing_px` apart; `where` is the chance (0..1) that one is laid at a point."""
    points = scatter(subject.grid, spacing_px, rng)
    if where is not None:
        points = points[subject.grid.read(where, points) > rng.random(len(points))]
    colours = vary(
        np.asarray(subject.grid.read(subject.colour, points), np.float32),
        rng,
        hue=brush.hue,
        chroma=brush.chroma,
        light=brush.light,
    )
    paths = trace(subject, points, brush.length_px * rng.uniform(0.65, 1.35, len(points)), brush.sway, rng)
    lay(canvas, paths, brush.width_px * rng.uniform(0.7, 1.3, len(points)), colours, brush, rng)


def trace(subject: Subject, points: Array, lengths_px: Array, sway: float, rng: Rng, *, steps: int = 8) -> Array:
    """Paths (n, 2 steps + 1, 2) through n points along the subject's angle, cut short where their region ends."""
    home = subject.grid.read(subject.region, points)
    reach = (np.asarray(lengths_px) / (2 * steps))[:, None]
    lean = rng.normal(0, sway, len(points))
    halves = []
    for sign in (-1.0, 1.0):
        here, moving, half = points, np.ones(len(points), bool), []
        for _ in range(steps):
            angle = subject.grid.read(subject.angle, here) + lean
            ahead = here + sign * reach * np.stack([np.cos(angle), np.sin(angle)], axis=1)
            moving = moving & (subject.grid.read(subject.region, ahead) == home)
            here = np.where(moving[:, None], ahead, here)
            half.append(here)
        halves.append(half)
    return np.stack([*halves[0][::-1], points, *halves[1]], axis=1).astype(np.float32)


def lay(canvas: Canvas, paths: Array, widths_px: Array, colours: Array, brush: Brush, rng: Rng) -> None:
    """Lay one stroke along each path (n, points, 2), in order."""
    scale = canvas.grid.scale
    rows, columns = canvas.grid.shape
    flat_colour, flat_height = canvas.colour.reshape(-1, 3), canvas.height.reshape(-1)
    which = rng.integers(0, len(brush.tips), len(paths))
    mirrored = rng.random(len(paths)) < 0.5
    tints = rng.normal(0, 0.35, (len(paths), 3)).astype(np.float32)
    for path, width_px, colour, tip_index, mirror, tint in zip(
        paths * scale, widths_px, colours, which, mirrored, tints, strict=True
    ):
        travelled = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
        if travelled[-1] < 1.5:
            continue
        # Samples under 1/sqrt(2) px apart leave no holes, whichever way the stroke runs.
        along = np.linspace(0, travelled[-1], max(4, int(travelled[-1] * 1.5)))
        across = np.linspace(-0.5, 0.5, max(3, int(width_px * scale * 1.5)), dtype=np.float32)
        x, y = np.interp(along, travelled, path[:, 0]), np.interp(along, travelled, path[:, 1])
        dx, dy = np.gradient(x), np.gradient(y)
        norm = width_px * scale / (np.hypot(dx, dy) + 1e-6)
        column = (x[:, None] - (dy * norm)[:, None] * across).astype(np.int32)
        row = (y[:, None] + (dx * norm)[:, None] * across).astype(np.int32)
        tip = brush.tips[tip_index]
        s = np.linspace(0, ALONG - 1, len(along)).astype(np.int32)
        t = np.linspace(0, ACROSS - 1, len(across)).astype(np.int32)
        pick = np.ix_(s, t[::-1] if mirror else t)
        cover = tip.cover[pick] * brush.opacity
        seen = (cover > 0.01) & (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        index, cover = row[seen] * columns + column[seen], cover[seen]
        shade = tip.streak[pick][seen, None] * (brush.streak * (1 + tint))
        flat_colour[index] += cover[:, None] * (colour + shade - flat_colour[index])
        flat_height[index] += cover * (brush.thickness * tip.height[pick][seen] - 0.45 * flat_height[index])
