"""Unit-mean weights (Gatys et al. 2016, section 2): every convolution's rectified activation averages 1.

Without it the losses of different layers and of different sources of VGG-19 differ by orders of magnitude.

For the original network the averages come from photographs (`tools/unit_mean.py`) and lie in `unit_mean.json`.
Other weights are measured when they are loaded, on synthetic pictures, and corrected by how photographs and
synthetic pictures compare in the original network. That makes them unit-mean to the extent that both networks
tell photographs from synthetic pictures alike: a good guess for a retrained VGG-19, not a measurement.
"""

import functools
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto_server.recipes import LAST_OF_BLOCK

from .pictures import normalised
from .weights import Convolution

Means = Mapping[str, float]
"""Mean rectified activation by convolution, `conv1_1` … `conv5_4`."""


def unit_mean(convolutions: Mapping[str, Convolution], means: Means) -> dict[str, Convolution]:
    """The same network with each convolution's activations divided by their mean.

    ReLU and pooling are positively homogeneous, so nothing but the scale of activations changes.
    """
    scaled = {}
    before = 1.0
    for name, convolution in convolutions.items():
        scaled[name] = Convolution(convolution.weight * (before / means[name]), convolution.bias / means[name])
        before = means[name]
    return scaled


def original_means() -> Means:
    """Of the original network, over photographs."""
    return _table()["photographs"]


def estimated_means(convolutions: Mapping[str, Convolution]) -> Means:
    """Of any other VGG-19, as photographs would give them, to judge by synthetic pictures."""
    table = _table()
    measured = mean_activations(convolutions, dead_leaves())
    return {
        # A convolution that never fires has no scale to change.
        name: mean * table["photographs"][name] / table["dead leaves"][name] if mean > 0 else 1.0
        for name, mean in measured.items()
    }


@torch.no_grad()
def mean_activations(convolutions: Mapping[str, Convolution], pictures: Tensor) -> dict[str, float]:
    """Mean rectified activation of each convolution over normalised pictures (N, 3, H, W)."""
    means = {}
    maps = pictures.contiguous(memory_format=torch.channels_last)
    for name, convolution in convolutions.items():
        maps = F.relu(F.conv2d(maps, convolution.weight, convolution.bias, padding=1))
        means[name] = float(maps.mean())
        if name in LAST_OF_BLOCK:
            maps = F.max_pool2d(maps, 2)
    return means


def dead_leaves(count: int = 2, side_px: int = 128, leaves: int = 500) -> Tensor:
    """Normalised pictures (count, 3, side, side) of discs lying over each other, always the same ones.

    With radii that follow r⁻³ they share edges, occlusion and scaling with photographs (Lee, Mumford & Huang 2001).
    """
    generator = torch.Generator().manual_seed(0)
    axis = torch.arange(side_px)
    leaf = functools.partial(torch.rand, generator=generator)
    pictures = leaf(count, 3, 1, 1).expand(-1, -1, side_px, side_px)
    smallest, largest = 2.0, side_px / 2
    for _ in range(leaves):
        row, column = leaf(2, count, 1, 1) * side_px
        spread = leaf(count, 1, 1) * (smallest**-2 - largest**-2)
        radius = (smallest**-2 - spread).rsqrt()
        covered = (axis[:, None] - row).square() + (axis - column).square() < radius.square()
        pictures = torch.where(covered[:, None], leaf(count, 3, 1, 1), pictures)
    return normalised(pictures)


def _table() -> dict[str, dict[str, float]]:
    path = Path(__file__).with_name("unit_mean.json")
    table: dict[str, dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))
    return table
