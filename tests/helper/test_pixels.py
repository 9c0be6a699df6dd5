"""Pixels in and out: sizes, profiles, and files as a host may read them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from impasto import ImageError
from impasto._helper._pixels import Raw, bare_png, cropped


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


def test_a_painting_gets_the_size_and_the_transparency_of_what_was_given() -> None:
    painting = Image.new("RGBA", (6, 4), (10, 20, 30, 77))
    opaque = Raw(12, 8, 3, bytes(12 * 8 * 3))
    assert opaque.repainted(painting) == bytes((10, 20, 30)) * 96
    see_through = Raw(6, 4, 4, b"".join(bytes((0, 0, 0, index)) for index in range(24)))
    assert see_through.repainted(painting) == b"".join(bytes((10, 20, 30, index)) for index in range(24))


def test_a_bare_png_has_the_same_numbers_and_says_nothing_of_colour() -> None:
    buffer = io.BytesIO()
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(buffer, "PNG", icc_profile=profile, dpi=(72, 72))
    bare = Image.open(io.BytesIO(bare_png(buffer.getvalue())))
    assert bare.tobytes() == image.tobytes()
    assert bare.info == {}


def test_what_is_no_png_is_said() -> None:
    with pytest.raises(ImageError, match="no PNG"):
        bare_png(b"II*\0")


def test_a_part_of_a_file_is_a_file_with_the_same_colours() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 80, 3), dtype=np.uint8))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    buffer = io.BytesIO()
    image.save(buffer, "PNG", icc_profile=profile)
    part = Image.open(io.BytesIO(cropped(buffer.getvalue(), (0.25, 0.5, 0.5, 0.25))))
    assert part.tobytes() == image.crop((20, 20, 60, 30)).tobytes()
    assert part.info["icc_profile"] == profile


def test_a_part_of_a_photo_is_taken_as_it_is_seen() -> None:
    """The camera was held upright: left and top are those of the turned picture."""
    image = Image.new("RGB", (80, 40), "white")
    image.paste("red", (0, 20, 20, 40))
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(buffer, "PNG", exif=exif)
    part = Image.open(io.BytesIO(cropped(buffer.getvalue(), (0, 0, 0.5, 0.25))))
    assert part.size == (20, 20)
    assert part.getcolors() == [(400, (255, 0, 0))]


def test_a_part_is_a_pixel_at_least_and_reaches_no_further_than_the_picture() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    assert Image.open(io.BytesIO(cropped(buffer.getvalue(), (0.999, 0.999, 0.001, 0.001)))).size == (1, 1)
    assert Image.open(io.BytesIO(cropped(buffer.getvalue(), (0.5, 0, 0.5004, 1)))).size == (4, 8)


def test_a_part_of_what_is_no_picture_is_a_sentence() -> None:
    with pytest.raises(ImageError, match="A part of this picture can't be taken"):
        cropped(b"text", (0, 0, 1, 1))
