"""Pixels in and out: sizes, profiles, and what 16 bits are worth when a file has 8."""

from __future__ import annotations

import io
from array import array

import numpy as np
import pytest
from PIL import Image

from impasto import ImageError
from impasto._helper._pixels import Raw, pixels_of


def ramp(width: int, height: int) -> Image.Image:
    """A slow gradient: a new value every 16 pixels, as a sky is stored in 8 bits."""
    values = np.broadcast_to(np.arange(width) // 16 + 100, (height, width)).astype(np.uint8)
    return Image.fromarray(np.stack([values] * 3, axis=-1))


def test_pixels_become_a_png_with_their_profile() -> None:
    raw = Raw(3, 2, 3, bytes(range(18)), icc_profile=b"")
    image = Image.open(io.BytesIO(raw.png(100)))
    assert image.size == (3, 2)
    assert image.tobytes() == bytes(range(18))


def test_pixels_are_shrunk_to_the_working_size_and_never_enlarged() -> None:
    raw = Raw(40, 20, 4, bytes(40 * 20 * 4))
    assert Image.open(io.BytesIO(raw.png(10))).size == (10, 5)
    assert Image.open(io.BytesIO(raw.png(100))).size == (40, 20)


def test_a_size_that_does_not_fit_its_bytes_is_a_sentence() -> None:
    with pytest.raises(ImageError, match="3 × 2 pixels of 3 channels were announced and 17 bytes came"):
        Raw(3, 2, 3, bytes(17)).image()


def test_sixteen_bits_stay_within_half_a_step_of_the_file() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    samples = np.frombuffer(pixels_of(Image.fromarray(noise), 50, 40, 16), dtype=np.uint16).reshape(40, 50, 3)
    assert np.abs(samples / 257 - noise).max() <= 0.5 + 1 / 257


def test_sixteen_bits_of_a_slow_gradient_have_no_steps_left() -> None:
    samples = np.frombuffer(pixels_of(ramp(256, 8), 256, 8, 16), dtype=np.uint16).reshape(8, 256, 3)
    assert len(set(samples[4, :, 0].tolist())) > 4 * 16
    assert np.abs(np.diff(samples[4, :, 0].astype(int))).max() < 257


def test_sixteen_bits_reach_black_and_white() -> None:
    for shade in (0, 255):
        image = Image.new("RGB", (8, 8), (shade,) * 3)
        assert set(array("H", pixels_of(image, 16, 16, 16))) == {shade * 257}
