"""Maps in bands of rows, so that scratch space doesn't grow with the picture."""

from collections.abc import Iterator

from torch import Tensor

BAND_BYTES = 2**26
"""About what a band takes as float32."""


def bands(maps: Tensor) -> Iterator[slice]:
    """Rows of maps (1, C, H, W), from the top down, so many at a time as stay within bounds; at least one."""
    _, channels, height, width = maps.shape
    rows = max(1, BAND_BYTES // (4 * channels * width)) if channels * width else height
    for start in range(0, height, rows):
        yield slice(start, min(start + rows, height))
