"""The ground every painting stands on: pixel coordinates, smooth noise over them, and reading a field at a point."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]
Rng = np.random.Generator
_T = TypeVar("_T", bound=np.generic)


class Grid:
    """Coordinates of a picture of `width` x `height` px, sampled `scale` times finer than it will be printed.

    `x` and `y` are (rows, columns) arrays in px of the finished picture, whatever the scale.
    """

    def __init__(self, width: int, height: int, scale: int = 1) -> None:
        self.width, self.height, self.scale = width, height, scale
        self.shape = (height * scale, width * scale)
        rows = (np.arange(self.shape[0], dtype=np.float32) + 0.5) / scale
        columns = (np.arange(self.shape[1], dtype=np.float32) + 0.5) / scale
        self.x: Array = np.broadcast_to(columns[None, :], self.shape)
        self.y: Array = np.broadcast_to(rows[:, None], self.shape)

    def noise(self, rng: Rng, size_px: float, *, octaves: int = 1, stretch: tuple[float, float] = (1.0, 1.0)) -> Array:
        """Smooth noise of mean 0 and deviation 1 whose bumps are about `size_px` wide, times `stretch` (x, y)."""
        total = np.zeros(self.shape, np.float32)
        for octave in range(octaves):
            along_y = _spline(self.y[:, 0] / (size_px * stretch[1]) * 2**octave, rng)
            along_x = _spline(self.x[0] / (size_px * stretch[0]) * 2**octave, rng)
            lattice = rng.standard_normal((along_y.shape[1], along_x.shape[1])).astype(np.float32)
            total += 0.5**octave * (along_y @ lattice @ along_x.T)
        return _normalised(total)

    def warped(self, rng: Rng, size_px: float, reach_px: float) -> tuple[Array, Array]:
        """The coordinates, shaken by noise: drawing a shape over them gives it a hand-made edge."""
        return (
            self.x + reach_px * self.noise(rng, size_px, octaves=3),
            self.y + reach_px * self.noise(rng, size_px, octaves=3),
        )

    def profile(self, rng: Rng, size_px: float, *, octaves: int = 4) -> Array:
        """One row of noise, shaped to broadcast over the picture: the outline of a hill."""
        total: Array = np.zeros(self.shape[1], np.float32)
        for octave in range(octaves):
            basis = _spline(self.x[0] / size_px * 2**octave, rng)
            total = total + 0.5**octave * (basis @ np.asarray(rng.standard_normal(basis.shape[1]), np.float32))
        return _normalised(total)[None, :]

    def read(self, field: NDArray[_T], points: Array) -> NDArray[_T]:
        """The values of a field of this grid at (..., 2) points of x, y; points outside read the border."""
        column = np.clip((points[..., 0] * self.scale).astype(np.int32), 0, self.shape[1] - 1)
        row = np.clip((points[..., 1] * self.scale).astype(np.int32), 0, self.shape[0] - 1)
        return field[row, column]


def step(edge_low: float, edge_high: float, value: Array) -> Array:
    """Hermite ramp from 0 at `edge_low` to 1 at `edge_high`; the edges may come in either order."""
    ramp = np.clip((value - edge_low) / (edge_high - edge_low), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def scatter(grid: Grid, spacing_px: float, rng: Rng) -> Array:
    """Points (n, 2) about `spacing_px` apart that cover the picture evenly, in random order."""
    columns = np.arange(-0.5, grid.width / spacing_px + 1)
    rows = np.arange(-0.5, grid.height / spacing_px + 1)
    x, y = np.meshgrid(columns, rows)
    x = x + 0.5 * (np.arange(len(rows))[:, None] % 2)
    points = np.stack([x.ravel(), y.ravel()], axis=1) + rng.uniform(-0.45, 0.45, (x.size, 2))
    return np.asarray(rng.permutation(points) * spacing_px, np.float32)


def _normalised(field: Array) -> Array:
    return np.asarray((field - field.mean()) / (field.std() + 1e-9), np.float32)


def _spline(position: Array, rng: Rng) -> Array:
    """Weights (n, lattice) of a uniform cubic B-spline at n positions, shifted at random."""
    position = position + rng.uniform(0, 1)
    cell = position.astype(np.int32)
    t = position - cell
    basis = np.zeros((len(position), int(cell.max()) + 4), np.float32)
    index = np.arange(len(position))
    basis[index, cell] = (1 - t) ** 3 / 6
    basis[index, cell + 1] = (3 * t**3 - 6 * t**2 + 4) / 6
    basis[index, cell + 2] = (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6
    basis[index, cell + 3] = t**3 / 6
    return basis
