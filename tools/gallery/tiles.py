"""Cells that fill a picture: hand-cut tiles laid in rows along a direction (Hausner 2001), and panes of glass."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from tools.gallery.grid import Array, Grid, Labels, Rng, scatter


def laid(grid: Grid, angle: Array, region: Labels, size_px: float, rng: Rng, *, rounds: int = 14) -> Array:
    """Centres (n, 2) of square tiles of about `size_px`, in rows that follow `angle` and keep off region borders."""
    centres = scatter(grid, size_px, rng)
    inside = (centres[:, 0] > 0) & (centres[:, 0] < grid.width) & (centres[:, 1] > 0) & (centres[:, 1] < grid.height)
    centres = centres[inside]
    for _ in range(rounds):
        owner, _ = cells(grid, centres, angle)
        home = grid.read(region, centres)
        # Pixels beyond a border pull no tile: centroids retreat from it, as Hausner does with edge pixels.
        kept = (region == home[owner]).ravel()
        owners = owner.ravel()[kept]
        count = np.bincount(owners, minlength=len(centres))
        moved = np.stack(
            [np.bincount(owners, axis.ravel()[kept], minlength=len(centres)) for axis in (grid.x, grid.y)],
            axis=1,
        )
        centres = np.where(count[:, None] > 0, moved / np.maximum(count, 1)[:, None], centres).astype(np.float32)
    return centres


def cells(grid: Grid, centres: Array, angle: Array, *, neighbours: int = 8) -> tuple[Labels, Array]:
    """For every pixel the tile it lies on and its distance in px to that tile's border with the next one.

    Distances are those of squares turned by `angle` at each tile's centre.
    """
    pixels = np.stack([grid.x.ravel(), grid.y.ravel()], axis=1)
    _, near = cKDTree(centres).query(pixels, k=neighbours, workers=1)
    turn = grid.read(angle, centres).astype(np.float32)
    cosine, sine = np.cos(turn)[near], np.sin(turn)[near]
    offset = pixels[:, None, :] - centres[near]
    along = np.abs(offset[..., 0] * cosine + offset[..., 1] * sine)
    across = np.abs(offset[..., 1] * cosine - offset[..., 0] * sine)
    distance = np.maximum(along, across) + 0.15 * np.minimum(along, across)
    order = np.argsort(distance, axis=1)[:, :2]
    first = np.take_along_axis(distance, order, axis=1)
    owner = np.take_along_axis(near, order[:, :1], axis=1)[:, 0]
    return owner.reshape(grid.shape).astype(np.int32), ((first[:, 1] - first[:, 0]) / 2).reshape(grid.shape)


def border_distance(labels: Labels, scale: int) -> Array:
    """Distance in px of every pixel to the nearest change of label."""
    edge = np.zeros(labels.shape, bool)
    edge[:-1] |= labels[:-1] != labels[1:]
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return np.asarray(distance_transform_edt(~edge) / scale, np.float32)
