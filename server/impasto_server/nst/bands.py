"""Maps in bands of rows: scratch space doesn't grow with the picture, and a band stays in the processor's cache."""

from collections.abc import Iterator

import torch
from torch import Tensor


def bands(maps: Tensor) -> Iterator[slice]:
    """Rows of maps (1, C, H, W), from the top down, so many at a time as stay within bounds; at least one."""
    _, channels, height, width = maps.shape
    rows = max(1, band_bytes(maps.device) // (4 * channels * width)) if channels * width else height
    for start in range(0, height, rows):
        yield slice(start, min(start + rows, height))


def band_bytes(device: torch.device) -> int:
    """About what a band takes as float32: what a core's cache holds, or enough to keep a GPU busy."""
    return 2**21 if device.type == "cpu" else 2**26
