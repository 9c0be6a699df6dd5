"""Pictures in every form that a caller may hold."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import impasto
from impasto import StoredImage
from impasto._images import Upload, decode, encode
from impasto._transfer import CHUNK_BYTES, Download, messages


def sent(picture) -> Image.Image:
    """What the server would see."""
    upload = encode(picture)
    assert isinstance(upload, Upload)
    return decode(upload.data)


def test_a_files_bytes_travel_as_they_are(tmp_path):
    path = tmp_path / "any.jpg"
    path.write_bytes(b"not even a picture")
    for form in (path, str(path), b"not even a picture", bytearray(b"not even a picture")):
        upload = encode(form)
        assert isinstance(upload, Upload)
        assert upload.data == b"not even a picture"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_pil_image_loses_nothing(mode, photo):
    image = photo.convert("L").convert("I;16") if mode == "I;16" else photo.convert(mode)
    arrived = sent(image)
    assert arrived.size == image.size
    assert np.array_equal(np.asarray(arrived.convert("RGBA")), np.asarray(image.convert("RGBA"))) or mode == "I;16"


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "PA"])
def test_a_pil_image_of_a_mode_that_png_lacks_is_converted(mode, photo):
    image = photo.convert("P").convert("PA") if mode == "PA" else photo.convert(mode)
    assert sent(image).mode == ("RGBA" if mode == "PA" else "RGB")


def test_a_colour_profile_comes_along_unless_the_colour_space_changes(photo):
    photo = photo.copy()
    photo.info["icc_profile"] = b"profile"
    assert sent(photo).info["icc_profile"] == b"profile"
    cmyk = photo.convert("CMYK")
    cmyk.info["icc_profile"] = b"profile"
    assert "icc_profile" not in sent(cmyk).info


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3), (4, 5, 4)])
def test_an_array_of_bytes_is_a_picture(shape):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    assert np.array_equal(np.asarray(sent(array)), array)
    assert np.array_equal(np.asarray(sent(array[::-1])), array[::-1])


@pytest.mark.parametrize(
    ("picture", "text"),
    [
        (np.zeros((4, 5, 3)), r"uint8 of shape H × W, .* this one is of type <f8\. Floats from 0 to 1"),
        (np.zeros((4, 5), bool), r"this one is of type \|b1"),
        (np.zeros((4, 5, 2), np.uint8), "this one is 4 × 5 × 2"),
        (np.zeros((0, 5), np.uint8), "0 × 5: there is nothing to paint"),
        (Image.new("RGB", (0, 3)), "0 × 3 pixels: there is nothing to paint"),
        (Image.new("F", (3, 3)), "no fixed range"),
        (b"", "no bytes at all"),
        (42, "a path, bytes, a PIL image or an array of uint8, not int"),
    ],
)
def test_what_is_no_picture_is_said_clearly(picture, text):
    with pytest.raises(impasto.ImageError, match=text):
        encode(picture)


def test_a_tensors_owner_is_told_the_way():
    class Tensor:
        def numpy(self):
            raise NotImplementedError

    with pytest.raises(impasto.ImageError, match=r"tensor\.numpy\(\)"):
        encode(Tensor())


def test_a_missing_file_is_both_kinds_of_error(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        encode(tmp_path / "no.png")
    assert isinstance(caught.value, impasto.ImpastoError)
    assert str(caught.value) == f"There is no file {tmp_path / 'no.png'}."


def test_a_folder_and_an_empty_file_are_no_pictures(tmp_path):
    with pytest.raises(impasto.ImageFileError, match="is a folder"):
        encode(tmp_path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(impasto.ImageError, match=r"empty\.png is empty"):
        encode(tmp_path / "empty.png")


def test_what_the_server_holds_is_not_sent_again():
    name = "images/" + "a" * 64
    stored = StoredImage(name=name, size_bytes=1, width_px=1, height_px=1, format="png", has_alpha=False)
    assert encode(name) == name
    assert encode(stored) is stored


@pytest.mark.parametrize("size", [1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_an_upload_announces_itself_and_comes_in_chunks(size):
    upload = Upload(b"x" * size)
    first, *rest = messages(upload)
    assert (first.announcement.sha256, first.announcement.size_bytes) == (upload.sha256, size)
    assert b"".join(message.chunk for message in rest) == upload.data
    assert all(1 <= len(message.chunk) <= CHUNK_BYTES for message in rest)


def test_a_broken_download_goes_on_where_it_stood_and_is_checked_at_its_end():
    from impasto.v1 import stylizer_pb2

    upload = Upload(b"abcdef")
    download = Download(f"images/{upload.sha256}")
    download.received(stylizer_pb2.DownloadImageResponse(chunk=b"abc"))
    assert download.request().offset_bytes == 3
    with pytest.raises(impasto.ImageError, match="arrived damaged"):
        download.finish()
    download.received(stylizer_pb2.DownloadImageResponse(chunk=b"def"))
    assert download.finish() == b"abcdef"


def test_a_preview_shows_itself(photo):
    from impasto import Preview
    from impasto._events import now

    buffer = BytesIO()
    photo.save(buffer, "PNG")
    preview = Preview(
        sequence=0, time=now(), attempt=1, data=buffer.getvalue(), format="png",
        width_px=photo.width, height_px=photo.height, step=1, scale=1, coalesced=0,
    )  # fmt: skip
    assert preview.image.size == photo.size
