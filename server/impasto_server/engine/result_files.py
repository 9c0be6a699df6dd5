"""A result's files: the picture, row by row as it comes from the device, and a small one of it that lists can show."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from impasto_server import codec, raster, recipes

from .protocol import Blob, Files, Picture, ResultFormat

THUMBNAIL_PX = 256
"""Long side of a thumbnail at most; its file takes some 10 kB."""
_THUMBNAIL_QUALITY = 80

log = logging.getLogger(__name__)


def write(
    files: Files,
    rows: Iterable[torch.Tensor],
    size: recipes.Scale,
    content: codec.Picture,
    result_format: ResultFormat,
) -> Picture:
    """The result with the content's transparency and colour profile, and its thumbnail. Raises OSError."""
    output = files.scratch_path()
    alpha = content.alpha and content.alpha.resize((size.width_px, size.height_px), Image.Resampling.BILINEAR)
    shrinking = Shrinking(size.height_px, size.width_px, result_format.bits_per_channel)
    raster.write(
        output,
        _with_alpha(shrinking.passing(rows), alpha, result_format.bits_per_channel),
        width_px=size.width_px,
        height_px=size.height_px,
        channels=4 if alpha else 3,
        image_format=result_format.format,
        bits_per_channel=result_format.bits_per_channel,
        icc_profile=content.icc_profile,
    )
    facts = codec.ImageFacts(result_format.format, size.width_px, size.height_px, has_alpha=alpha is not None)
    return Picture(blob(output), facts, _thumbnail(files.scratch_path(), shrinking.image(), content.icc_profile))


def blob(path: Path) -> Blob:
    """A finished file, by its hash."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Blob(sha256, path.stat().st_size, path)


class Shrinking:
    """Means of square blocks of a picture whose rows pass by once, so that a large one needn't be read again."""

    def __init__(self, height_px: int, width_px: int, bits: int) -> None:
        # Twice a thumbnail's size: what is left to do is a resampling filter's.
        wanted_px = max(height_px, width_px) // (2 * THUMBNAIL_PX)
        self._block_px = max(1, min(wanted_px, height_px, width_px))
        self._white = 2**bits - 1
        self._means: list[raster.Array] = []

    def passing(self, rows: Iterable[torch.Tensor]) -> Iterator[raster.Array]:
        """The same bands as arrays."""
        waiting: raster.Array | None = None
        for band in rows:
            colours = band.numpy()
            # A copy: what comes may be overwritten by what comes next.
            waiting = colours.copy() if waiting is None else np.concatenate((waiting, colours))
            whole = len(waiting) // self._block_px * self._block_px
            if whole:
                self._means.append(self._shrunk(waiting[:whole]))
                waiting = waiting[whole:]
            yield colours

    def image(self) -> Image.Image:
        """The picture, shrunk; edges of less than a block are left out."""
        return Image.fromarray(np.concatenate(self._means))

    def _shrunk(self, rows: raster.Array) -> raster.Array:
        block = self._block_px
        columns = rows.shape[1] // block * block
        blocks = rows[:, :columns].reshape(len(rows) // block, block, columns // block, block, 3)
        means = blocks.mean(axis=(1, 3), dtype=np.float32) * (255 / self._white)
        return np.asarray(means.round(), dtype=np.uint8)


def _thumbnail(path: Path, image: Image.Image, icc_profile: bytes | None) -> Picture | None:
    small = codec.as_srgb(codec.shrunk(image, THUMBNAIL_PX), icc_profile)
    try:
        path.write_bytes(codec.encode(small, "JPEG", quality=_THUMBNAIL_QUALITY))
    except OSError as error:  # it must not cost the picture
        log.warning("no thumbnail: %s", error)
        path.unlink(missing_ok=True)
        return None
    return Picture(blob(path), codec.ImageFacts("JPEG", small.width, small.height, has_alpha=False))


def _with_alpha(rows: Iterable[raster.Array], alpha: Image.Image | None, bits: int) -> Iterator[raster.Array]:
    top = 0
    for band in rows:
        colours = band
        if alpha:
            part = np.asarray(alpha.crop((0, top, alpha.width, top + len(band))))
            # 255 becomes 65535.
            part = part if bits == 8 else part.astype(np.uint16) * 257
            colours = np.dstack((band, part))
        top += len(band)
        yield colours
