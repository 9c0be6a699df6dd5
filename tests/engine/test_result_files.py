"""A result's two files: the picture as it was painted, and a small one that any screen shows as it is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from impasto_server import codec
from impasto_server.engine import Picture, ResultFormat, result_files
from impasto_server.engine.local.pipe import LocalFiles
from impasto_server.recipes import Scale
from tests.colour_profiles import red_and_blue_swapped


def bands(picture: np.ndarray, rows: int) -> list[torch.Tensor]:
    """The picture from the top down."""
    return [torch.from_numpy(picture[top : top + rows].copy()) for top in range(0, len(picture), rows)]


def written(
    tmp_path: Path,
    picture: np.ndarray,
    *,
    rows: int = 7,
    alpha: Image.Image | None = None,
    profile: bytes | None = None,
) -> Picture:
    height, width, _ = picture.shape
    bits = 8 if picture.dtype == np.uint8 else 16
    content = codec.Picture(Image.new("RGB", (width, height)), alpha, profile)
    files = LocalFiles({}, tmp_path / "scratch")
    return result_files.write(files, bands(picture, rows), Scale(height, width, 1), content, ResultFormat("PNG", bits))


def opened(picture: Picture | None) -> Image.Image:
    assert picture
    assert picture.blob.path
    image = Image.open(io.BytesIO(picture.blob.path.read_bytes()))
    assert (image.width, image.height, image.format) == (
        picture.facts.width_px,
        picture.facts.height_px,
        picture.facts.format,
    )
    return image


def drawn(width: int, height: int) -> np.ndarray:
    """A disc on a slope of colours."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    box = (width // 4, height // 4, width // 2, height // 2)
    ImageDraw.Draw(image).ellipse(box, (220, 40, 60))
    return np.asarray(image)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_thumbnail_is_the_picture_shrunk_whatever_bands_it_came_in(tmp_path: Path, bits: int) -> None:
    picture = drawn(1700, 1100)
    sixteen = picture.astype(np.uint16) * 257
    small = written(tmp_path, picture if bits == 8 else sixteen, rows=17).thumbnail
    image = opened(small)
    assert image.size == (256, 166)
    expected = Image.fromarray(picture).resize(image.size, Image.Resampling.LANCZOS)
    difference = np.abs(np.asarray(image, np.int16) - np.asarray(expected, np.int16))
    assert difference.mean() < 3
    assert small
    assert small.blob.size_bytes < 20_000


def test_a_small_picture_is_its_own_size(tmp_path: Path) -> None:
    assert opened(written(tmp_path, drawn(96, 64)).thumbnail).size == (96, 64)


def test_a_strip_has_a_thumbnail_too(tmp_path: Path) -> None:
    assert opened(written(tmp_path, drawn(16384, 16)).thumbnail).size == (256, 1)


def test_a_thumbnail_has_the_screens_colours_and_no_transparency(tmp_path: Path) -> None:
    picture = np.full((64, 96, 3), (200, 100, 50), np.uint8)
    profile = red_and_blue_swapped()
    whole = written(tmp_path, picture, alpha=Image.new("L", (96, 64), 0), profile=profile)
    assert opened(whole).mode == "RGBA"
    small = opened(whole.thumbnail)
    assert small.mode == "RGB"
    assert "icc_profile" not in small.info
    assert np.abs(np.asarray(small, np.int16) - (50, 100, 200)).max() < 6


def test_a_thumbnail_that_cannot_be_written_costs_the_thumbnail_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    whole = written(tmp_path, drawn(96, 64))
    assert whole.thumbnail is None
    assert len(list((tmp_path / "scratch").iterdir())) == 1
