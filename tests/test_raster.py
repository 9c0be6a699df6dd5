"""Files written row by row hold exactly the rows that were given, whoever reads them; or there is no file."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageCms

from impasto_server import codec, raster

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@st.composite
def pictures(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Every depth and kind of alpha; noise, and pictures of few values, which have runs."""
    bits, channels = draw(st.sampled_from((8, 16))), draw(st.sampled_from((3, 4)))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40)), channels
    values = draw(st.sampled_from((None, (0, 2**bits - 1), (7,), (2**bits - 2, 2**bits - 1, 0, 1))))
    elements = None if values is None else st.sampled_from(values)
    return draw(arrays.arrays(np.uint8 if bits == 8 else np.uint16, shape, elements=elements))


def banded(picture: np.ndarray[Any, Any], heights: list[int]) -> Iterator[np.ndarray[Any, Any]]:
    """The picture in bands of these heights, again and again; each overwrites the one before."""
    buffer = np.empty_like(picture)
    top = 0
    while top < len(picture):
        for height in heights:
            band = buffer[: len(picture[top : top + height])]
            band[...] = picture[top : top + height]
            yield band
            top += height


def written(path: Path, picture: np.ndarray[Any, Any], image_format: str, **options: Any) -> Path:
    height, width, channels = picture.shape
    bands = options.pop("bands", [picture])
    raster.write(
        path,
        bands,
        width_px=width,
        height_px=height,
        channels=channels,
        image_format=image_format,
        bits_per_channel=picture.dtype.itemsize * 8,
        **options,
    )
    return path


def read_png(path: Path) -> np.ndarray[Any, Any]:
    """A PNG as its specification has it, byte by byte: Pillow drops the lower half of 16 bits."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = [], 8
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + length]
        assert struct.unpack(">I", data[place + 8 + length :][:4])[0] == zlib.crc32(kind + body)
        chunks.append((kind, body))
        place += 12 + length
    assert chunks[-1] == (b"IEND", b"")
    width, height, bits, colours, *rest = struct.unpack(">IIBBBBB", dict(chunks)[b"IHDR"])
    assert rest == [0, 0, 0]
    channels = {2: 3, 6: 4}[colours]
    step, row_bytes = channels * bits // 8, width * channels * bits // 8
    lines = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    assert len(lines) == height * (row_bytes + 1)
    above, pixels = bytearray(row_bytes), bytearray()
    for y in range(height):
        method, row = lines[y * (row_bytes + 1)], bytearray(lines[y * (row_bytes + 1) + 1 :][:row_bytes])
        assert method == 4
        for x in range(row_bytes):
            a, c = (row[x - step], above[x - step]) if x >= step else (0, 0)
            b = above[x]
            p = a + b - c
            row[x] = (row[x] + min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]) % 256
        pixels += row
        above = row
    return np.frombuffer(bytes(pixels), ">u2" if bits == 16 else np.uint8).reshape(height, width, channels)


@given(
    picture=pictures(),
    heights=st.lists(st.integers(0, 9), min_size=1).filter(any),
    block_bytes=st.integers(1, 2000),
    image_format=st.sampled_from(("PNG", "TIFF")),
    profile=st.sampled_from((None, PROFILE)),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_holds_exactly_the_rows_that_were_given(
    tmp_path: Path,
    picture: np.ndarray[Any, Any],
    heights: list[int],
    block_bytes: int,
    image_format: str,
    profile: bytes | None,
) -> None:
    path = tmp_path / "picture"
    with mock.patch.object(raster, "_BLOCK_BYTES", block_bytes):
        written(path, picture, image_format, bands=banded(picture, heights), icc_profile=profile)
    found = read_png(path) if image_format == "PNG" else tifffile.imread(path)
    assert np.array_equal(found, picture)
    with Image.open(path) as image:
        assert (image.format, image.info.get("icc_profile")) == (image_format, profile)
        # 16 bits become 8 by dropping the lower half: Pillow has no deeper RGB.
        assert np.array_equal(np.asarray(image), picture if picture.dtype == np.uint8 else picture >> 8)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [3, 4])
def test_what_is_written_here_can_be_painted_again(
    tmp_path: Path, photo: Image.Image, image_format: str, bits: int, channels: int
) -> None:
    eight = np.asarray(photo.convert("RGBA"))[..., :channels].copy()
    if channels == 4:
        eight[:20, :, 3] = 128
    picture = eight if bits == 8 else eight.astype(np.uint16) * 257
    path = written(tmp_path / "result", picture, image_format, icc_profile=PROFILE)
    facts = codec.inspect(path, max_pixels=10**9)
    codec.verify(path)
    loaded = codec.load(path, keep_profile=True)
    assert facts == codec.ImageFacts(image_format, photo.width, photo.height, has_alpha=channels == 4)
    assert loaded.icc_profile == PROFILE
    if channels == 3:
        assert np.array_equal(np.asarray(loaded.rgb), eight)
    else:
        assert loaded.alpha
        assert np.array_equal(np.asarray(loaded.alpha), eight[..., 3])
        assert np.array_equal(np.asarray(loaded.rgb)[20:], eight[20:, :, :3])


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's, about a directory that isn't there
def test_a_file_that_was_cut_off_is_noticed(tmp_path: Path, photo: Image.Image) -> None:
    for image_format in ("PNG", "TIFF"):
        path = written(tmp_path / image_format, np.asarray(photo), image_format)
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(codec.ImageError):
            codec.inspect(path, max_pixels=10**9)
            codec.verify(path)


@pytest.mark.parametrize(
    ("bands", "complaint"),
    [
        ([np.zeros((5, 8, 3), np.uint8)], "have 5 rows or more; the picture has 6"),
        ([np.zeros((5, 8, 3), np.uint8)] * 2, "have 10 rows or more; the picture has 6"),
        ([np.zeros((6, 7, 3), np.uint8)], r"shape \(6, 7, 3\); expected uint8 of shape \(rows, 8, 3\)"),
        ([np.zeros((6, 8, 4), np.uint8)], r"expected uint8 of shape \(rows, 8, 3\)"),
        ([np.zeros((6, 8, 3), np.uint16)], "A band is uint16"),
        ([np.zeros((6, 8, 3), np.float32)], "A band is float32"),
    ],
)
@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_bands_that_are_not_the_picture_make_no_file(
    tmp_path: Path, bands: list[np.ndarray[Any, Any]], complaint: str, image_format: str
) -> None:
    path = tmp_path / "picture"
    with pytest.raises(ValueError, match=complaint):
        raster.write(path, bands, width_px=8, height_px=6, channels=3, image_format=image_format)  # type: ignore[arg-type]
    assert not path.exists()


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_what_fails_halfway_leaves_no_file(tmp_path: Path, image_format: str) -> None:
    def bands() -> Iterator[np.ndarray[Any, Any]]:
        yield np.zeros((3, 8, 3), np.uint8)
        raise RuntimeError("the painter fell off the ladder")

    with pytest.raises(RuntimeError, match="ladder"):
        written(tmp_path / "picture", np.zeros((6, 8, 3), np.uint8), image_format, bands=bands())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong", [{"width_px": 0}, {"height_px": 0}, {"channels": 1}, {"bits_per_channel": 32}, {"channels": 5}]
)
def test_what_is_no_raster_is_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    shape = {"width_px": 8, "height_px": 6, "channels": 3} | wrong
    with pytest.raises(ValueError, match="8 or 16 bits, 3 or 4 channels and at least a pixel"):
        raster.write(tmp_path / "picture", [], **shape)  # type: ignore[arg-type]


def test_a_tiff_that_its_offsets_could_not_reach_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="may pass 4 GB, which its offsets can't; write a PNG"):
        raster.write(
            tmp_path / "picture", [], width_px=30_000, height_px=50_000, channels=3, image_format="TIFF"
        )  # fmt: skip


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_memory_follows_the_band_and_not_the_picture(tmp_path: Path, image_format: str) -> None:
    rows, width, bands = 16, 4000, 200
    band = np.random.default_rng(0).integers(0, 256, (rows, width, 3), np.uint8)
    tracemalloc.start()
    try:
        raster.write(
            tmp_path / "picture", (band for _ in range(bands)), width_px=width, height_px=rows * bands, channels=3,
            image_format=image_format,  # type: ignore[arg-type]
        )  # fmt: skip
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10e6 < rows * bands * width * 3 / 3
