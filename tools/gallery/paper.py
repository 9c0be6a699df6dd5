"""Paper and what soaks into it: transparent layers of ink or watercolour that settle, pool, dry and darken."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from tools.gallery.grid import Array, Grid, Rng
from tools.gallery.relief import lit


class Sheet:
    """A sheet of paper with what has been laid on it so far; `tooth` (mean 0, deviation 1) is its surface."""

    def __init__(self, grid: Grid, colour: Array, rng: Rng, *, tooth_px: float) -> None:
        self.grid = grid
        self.tooth: Array = 0.8 * grid.noise(rng, tooth_px, octaves=2) + 0.2 * grid.noise(rng, 60)
        self.picture: Array = np.array(np.broadcast_to(colour, (*grid.shape, 3)), np.float32)
        self.picture *= (1 + 0.02 * grid.noise(rng, 90, octaves=3))[..., None]
        self._blank = self.picture.copy()

    def reserve(self, mask: Array) -> None:
        """Take the paper back where `mask` is 1, as if the painter had left it white so far."""
        self.picture += mask[..., None] * (self._blank - self.picture)

    def soak(self, density: Array, colour: Array) -> None:
        """Lay a transparent layer (Beer's law): a density of 1 gives `colour` on white, (3,) or a whole picture."""
        self.picture *= np.clip(colour, 0.012, 1) ** density[..., None]

    def wash(
        self,
        mask: Array,
        colour: Array,
        rng: Rng,
        *,
        strength: float = 1.0,
        edge: float = 0.7,
        bloom: float = 0.5,
        granulation: float = 0.22,
        edge_px: float = 3.5,
    ) -> None:
        """A wet wash: pigment drifts to its edge, pools, blooms where a drop fell in, and sinks into the tooth."""
        grid = self.grid
        inner = gaussian_filter(mask, edge_px * grid.scale)
        rim = np.clip(mask - inner, 0, 1) * 1.8
        pool = 0.2 * grid.noise(rng, 80, octaves=4) + 0.1 * grid.noise(rng, 22, octaves=2)
        drop = grid.noise(rng, 95, octaves=6) - 1.05
        backrun = 0.5 * np.exp(-((drop / 0.07) ** 2)) - 0.38 * (drop > 0) * np.exp(-drop * 1.5)
        settle = 1 + granulation * np.clip(self.tooth, -2, 2.2)
        density = mask * np.clip(0.85 + pool + bloom * backrun + edge * rim, 0.1, None) * settle
        self.soak((strength * density).astype(np.float32), colour)

    def print_layer(self, layer: Array) -> None:
        """Multiply by a layer of strokes that were painted on white."""
        self.picture *= np.clip(layer, 0, 1)

    def framed(self) -> Array:
        """The sheet as it hangs: its tooth just visible in raking light."""
        return lit(np.clip(self.picture, 0, 1), 0.16 * self.tooth, gloss=0.0, ambient=0.55)
