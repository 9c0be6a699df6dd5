"""Every kind of picture a painter may bring: read rightly, or refused with a sentence."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from impasto_server import codec

MANY = 10**9


def saved(tmp_path: Path, image: Image.Image, name: str, **options: object) -> Path:
    path = tmp_path / name
    image.save(path, **options)
    return path


def refusal(path: Path, *, max_pixels: int = MANY) -> codec.ImageError:
    with pytest.raises(codec.ImageError) as caught:
        codec.inspect(path, max_pixels=max_pixels)
        codec.verify(path)
    return caught.value


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "bmp", "ppm", "gif"])
def test_all_formats_on_the_list_are_read(tmp_path: Path, photo: Image.Image, suffix: str) -> None:
    path = saved(tmp_path, photo, f"photo.{suffix}")
    facts = codec.inspect(path, max_pixels=MANY)
    codec.verify(path)
    assert (facts.width_px, facts.height_px) == photo.size
    assert codec.load(path).rgb.size == photo.size


def test_a_text_file_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("not an image at all")
    error = refusal(path)
    assert error.reason == "IMAGE_UNREADABLE"
    assert "not an image of a kind this server reads (PNG, JPEG" in str(error)


def test_an_image_of_a_format_off_the_list_is_not_even_opened(tmp_path: Path, photo: Image.Image) -> None:
    assert refusal(saved(tmp_path, photo, "photo.ico")).reason == "IMAGE_UNREADABLE"


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "bmp"])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, photo: Image.Image, suffix: str) -> None:
    path = saved(tmp_path, photo, f"photo.{suffix}")
    path.write_bytes(path.read_bytes()[:-400])
    error = refusal(path)
    assert error.reason in ("IMAGE_TRUNCATED", "IMAGE_UNREADABLE")
    if suffix in ("png", "jpg", "bmp"):
        assert "ends too early" in str(error)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    assert refusal(path).reason == "IMAGE_EMPTY"


def test_an_image_without_pixels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nothing.ppm"
    path.write_bytes(b"P6 0 0 255\n")
    assert refusal(path).reason in ("IMAGE_EMPTY", "IMAGE_UNREADABLE")


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_a_png_without_pixels_is_empty_and_not_unreadable(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "nothing.png"
    header = b"IHDR" + struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)))
    error = refusal(path)
    assert error.reason == "IMAGE_EMPTY"
    assert "has no pixels" in str(error)


def test_a_decompression_bomb_is_refused_by_its_header_alone(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    error = refusal(path, max_pixels=1_000_000)
    assert error.reason == "IMAGE_TOO_LARGE"
    assert "100000 × 100000 = 10000.0 million pixels; this server takes at most 1.0 million" in str(error)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tiff"])
def test_an_animation_is_refused(tmp_path: Path, photo: Image.Image, suffix: str) -> None:
    path = saved(tmp_path, photo, f"film.{suffix}", save_all=True, append_images=[photo.rotate(90), photo.rotate(180)])
    error = refusal(path)
    assert error.reason == "IMAGE_ANIMATED"
    assert "3 frames or pages" in str(error)


def test_a_phone_photo_with_a_second_picture_inside_is_a_photo(tmp_path: Path, photo: Image.Image) -> None:
    path = saved(tmp_path, photo, "phone.jpg", format="MPO", save_all=True, append_images=[photo.resize((20, 20))])
    assert codec.inspect(path, max_pixels=MANY).format == "JPEG"
    assert codec.load(path).rgb.size == photo.size


def test_cmyk_becomes_rgb(tmp_path: Path, photo: Image.Image) -> None:
    path = saved(tmp_path, photo.convert("CMYK"), "print.jpg", quality=95)
    assert np.abs(np.asarray(codec.load(path).rgb, int) - np.asarray(photo, int)).mean() < 6


def test_a_palette_becomes_rgb(tmp_path: Path, photo: Image.Image) -> None:
    indexed = photo.quantize(32)
    path = saved(tmp_path, indexed, "few.png")
    assert np.array_equal(np.asarray(codec.load(path).rgb), np.asarray(indexed.convert("RGB")))


def test_a_palette_with_transparency_keeps_it(tmp_path: Path, photo: Image.Image) -> None:
    path = saved(tmp_path, photo.quantize(8), "few.png", transparency=3)
    picture = codec.load(path)
    assert codec.inspect(path, max_pixels=MANY).has_alpha
    assert picture.alpha is not None
    assert set(np.unique(np.asarray(picture.alpha))) == {0, 255}


def test_sixteen_bit_gray_is_scaled_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    path = saved(tmp_path, Image.fromarray(ramp), "deep.png")
    found = np.asarray(codec.load(path).rgb)[..., 0].astype(int)
    assert np.abs(found - ramp / 257).max() <= 1


def test_gray_becomes_rgb(tmp_path: Path, photo: Image.Image) -> None:
    path = saved(tmp_path, photo.convert("L"), "gray.png")
    pixels = np.asarray(codec.load(path).rgb)
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


def test_floats_have_no_agreed_white_and_are_refused(tmp_path: Path, photo: Image.Image) -> None:
    error = refusal(saved(tmp_path, photo.convert("F"), "float.tiff"))
    assert error.reason == "IMAGE_FORMAT_UNSUPPORTED"
    assert "convert it to RGB or gray" in str(error)


def test_what_cannot_be_seen_has_no_say_in_the_colours(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, :4] = (200, 100, 50, 255)
    pixels[:, 4:] = (0, 255, 0, 0)
    picture = codec.load(saved(tmp_path, Image.fromarray(pixels), "half.png"))
    assert np.array_equal(np.asarray(picture.rgb), np.full((8, 8, 3), (200, 100, 50)))
    assert picture.alpha is not None
    assert np.array_equal(np.asarray(picture.alpha), pixels[..., 3])


def test_a_wholly_transparent_picture_is_white(tmp_path: Path) -> None:
    picture = codec.load(saved(tmp_path, Image.new("RGBA", (8, 8), (9, 9, 9, 0)), "none.png"))
    assert picture.rgb.getpixel((0, 0)) == (255, 255, 255)


def test_a_photo_taken_sideways_is_turned_upright(tmp_path: Path, photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, photo, "sideways.jpg", exif=exif, quality=95)
    facts = codec.inspect(path, max_pixels=MANY)
    assert (facts.width_px, facts.height_px) == (photo.height, photo.width)
    assert codec.load(path).rgb.size == (photo.height, photo.width)


def wide_gamut_profile() -> bytes:
    """A profile that isn't sRGB: Pillow has no maker for AdobeRGB, and LAB's XYZ will not do for RGB numbers."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"sRGB built-in", b"sRGB of mine  "[:13])


def test_a_profiled_content_keeps_its_numbers_and_hands_its_profile_on(tmp_path: Path, photo: Image.Image) -> None:
    path = saved(tmp_path, photo, "profiled.png", icc_profile=wide_gamut_profile())
    picture = codec.load(path, keep_profile=True)
    assert picture.icc_profile == wide_gamut_profile()
    assert np.array_equal(np.asarray(picture.rgb), np.asarray(photo))


def test_a_broken_profile_is_no_reason_to_refuse_a_picture(tmp_path: Path, photo: Image.Image) -> None:
    path = saved(tmp_path, photo, "broken.png", icc_profile=b"no profile")
    assert np.array_equal(np.asarray(codec.load(path).rgb), np.asarray(photo))


@pytest.mark.parametrize("name", codec.PREVIEW_FORMATS)
def test_previews_are_encoded_as_asked(photo: Image.Image, name: str) -> None:
    small = codec.shrunk(photo, 40)
    picture = Image.open(io.BytesIO(codec.encode(small, name)))
    assert (picture.format, max(picture.size)) == (name, 40)


def test_a_preview_is_never_enlarged(photo: Image.Image) -> None:
    assert codec.shrunk(photo, 4000).size == photo.size
