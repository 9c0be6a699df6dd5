"""Every bad or unusual picture, name and number, through the client: what is said, what is made, what stays behind."""

import hashlib
import io
import os
import socket
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageStat

import impasto
from tests.client.conftest import Scripted, running

TINY = {"recipe": "draft", "size_px": 48, "steps": 1}


@pytest.fixture(scope="module")
def client(server):
    """Connected to the server of all tests, which takes 4 megapixels."""
    with impasto.Client(server.address) as client:
        yield client


@pytest.fixture(scope="module")
def small(photo):
    """The photo at the size it is painted in: 48 × 32 pixels."""
    return photo.resize((48, 32), Image.Resampling.LANCZOS)


def file_of(image, format_name="PNG", **options):
    """A picture as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width, height, depth, colour, rows):
    """A PNG file by hand: of any size in its header, of any depth."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def moving(photo, format_name):
    """Two frames that differ."""
    return file_of(photo, format_name, save_all=True, append_images=[photo.rotate(180)], duration=80)


BAD = {
    "no image": (
        lambda photo: b"Dear diary, today I painted.",
        "IMAGE_UNREADABLE",
        "The file is not an image of a kind",
    ),
    "a format nobody asked for": (
        lambda photo: file_of(photo, "ICO"),
        "IMAGE_UNREADABLE",
        "reads (PNG, JPEG, WEBP, TIFF, BMP, PPM, GIF)",
    ),
    "half a png": (lambda photo: file_of(photo)[:3000], "IMAGE_TRUNCATED", "ends too early: it was cut off"),
    "half a jpeg": (lambda photo: file_of(photo, "JPEG")[:1000], "IMAGE_TRUNCATED", "ends too early: it was cut off"),
    "a png's head": (lambda photo: file_of(photo)[:20], "IMAGE_UNREADABLE", "The image's header can't be read"),
    "a damaged png": (
        lambda photo: file_of(photo)[:3000] + bytes(500) + file_of(photo)[3500:],
        "IMAGE_UNREADABLE",
        "The image can't be decoded",
    ),
    "no pixels": (lambda photo: png_of(0, 7, 8, 2, b""), "IMAGE_EMPTY", "The image has no pixels"),
    "a decompression bomb": (
        lambda photo: png_of(60_000, 50_000, 8, 2, b""),
        "IMAGE_TOO_LARGE",
        "60000 × 50000 = 3000.0 million pixels; this server takes at most 4.0 million: scale it down first.",
    ),
    "a few pixels too many": (
        lambda photo: file_of(Image.new("L", (2001, 2000))),
        "IMAGE_TOO_LARGE",
        "2001 × 2000 = 4.0 million pixels",
    ),
    "an animated gif": (lambda photo: moving(photo, "GIF"), "IMAGE_ANIMATED", "GIF file holds 2 frames or pages"),
    "an animated png": (lambda photo: moving(photo, "PNG"), "IMAGE_ANIMATED", "PNG file holds 2 frames or pages"),
    "an animated webp": (lambda photo: moving(photo, "WEBP"), "IMAGE_ANIMATED", "WEBP file holds 2 frames or pages"),
    "a tiff of two pages": (lambda photo: moving(photo, "TIFF"), "IMAGE_ANIMATED", "TIFF file holds 2 frames or pages"),
    "floats": (
        lambda photo: file_of(photo.convert("F"), "TIFF"),
        "IMAGE_FORMAT_UNSUPPORTED",
        "pixels are of kind 'F'; convert it to RGB or gray",
    ),
}


@pytest.mark.parametrize("role", ["content", "style"])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_is_refused_in_words_and_leaves_nothing_behind(client, server, photo, name, role):
    make, reason, text = BAD[name]
    data = make(photo)
    good = client.upload(photo)
    before = job_ids(client)
    with pytest.raises(impasto.ImageError) as caught:
        client.submit(*((data, "mist-ink") if role == "content" else (photo, data)), **TINY)
    assert text in str(caught.value)
    assert caught.value.reason == reason
    assert caught.value.field == {"content": "spec.content", "style": "spec.styles[0].image"}[role]
    stored = " ".join(path.name for path in (server.state_dir / "blobs").rglob("*"))
    assert good.name.removeprefix("images/") in stored
    assert hashlib.sha256(data).hexdigest() not in stored
    assert list((server.state_dir / "blobs" / "incoming").iterdir()) == []
    assert job_ids(client) == before


def job_ids(client):
    return [job.id for job in client.jobs()]


@pytest.mark.parametrize(
    ("picture", "text"),
    [
        (b"", "The picture has no bytes at all."),
        (Image.new("RGB", (0, 7)), "The picture is 0 × 7 pixels: there is nothing to paint."),
        (np.zeros((0, 7, 3), np.uint8), "The array is 0 × 7 × 3: there is nothing to paint."),
        (np.zeros((7, 7, 3)), "this one is of type <f8. Floats from 0 to 1: `(array * 255).round().astype('uint8')`."),
        (7, "A picture can be a path, bytes, a PIL image or an array of uint8, not int."),
    ],
)
def test_what_is_no_picture_at_all_is_refused_before_it_travels(client, picture, text):
    with pytest.raises(impasto.ImageError) as caught:
        client.submit(picture, "mist-ink", **TINY)
    assert text in str(caught.value)


def test_a_file_that_cant_be_read_is_named_and_so_is_the_reason(client, photo, tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    for path, kind, text in (
        (tmp_path / "no.png", impasto.ImageFileNotFoundError, "There is no file {}."),
        (tmp_path, impasto.ImageFileError, "{} is a folder; a picture's file is wanted."),
        (tmp_path / "loop.png", impasto.ImageFileError, "{} can't be read: Too many levels of symbolic links."),
        (tmp_path / "empty.png", impasto.ImageError, "{} is empty."),
    ):
        for content, style in ((path, "mist-ink"), (photo, path)):
            with pytest.raises(impasto.ImageError) as caught:
                client.submit(content, style, **TINY)
            assert (type(caught.value), str(caught.value)) == (kind, text.format(path))
    with pytest.raises(FileNotFoundError):
        client.submit(tmp_path / "no.png", "mist-ink")


def test_a_file_one_may_not_read_is_named_and_so_is_the_reason(client, photo_png, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(photo_png)
    secret.chmod(0)
    if os.access(secret, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(impasto.ImageFileError, match=r"secret\.png can't be read: Permission denied\."):
        client.submit(secret, "mist-ink", **TINY)


def sixteen_bits(small):
    """The photo as a PNG of 16 bits a channel, which Pillow reads but doesn't write."""
    pixels = np.asarray(small).astype(">u2") * 257
    return png_of(*small.size, 16, 2, b"".join(b"\0" + row.tobytes() for row in pixels))


def gray_16(small):
    return file_of(Image.fromarray(np.asarray(small.convert("L")).astype(np.uint16) * 257))


def gray(small):
    return small.convert("L").convert("RGB")


UNUSUAL = {
    "cmyk": (lambda small: file_of(small.convert("CMYK"), "JPEG", quality=95), lambda small: small),
    "palette": (lambda small: file_of(small.quantize(64)), lambda small: small),
    "16-bit gray": (gray_16, gray),
    "16-bit rgb": (sixteen_bits, lambda small: small),
    "gray": (lambda small: file_of(small.convert("L")), gray),
    "black and white": (lambda small: file_of(small.convert("1")), lambda small: small.convert("1").convert("RGB")),
    "a gif that doesn't move": (lambda small: file_of(small, "GIF"), lambda small: small),
    "tiff": (lambda small: file_of(small, "TIFF", compression="tiff_lzw"), lambda small: small),
    "a netpbm file": (lambda small: file_of(small, "PPM"), lambda small: small),
}


def difference(one, other):
    """Mean difference of two pictures of one size, in steps of 0 to 255, fine detail left out."""
    coarse = [image.convert("RGB").resize((6, 4), Image.Resampling.BOX) for image in (one, other)]
    return max(ImageStat.Stat(ImageChops.difference(*coarse)).mean)


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_picture_is_painted_as_what_it_shows(client, small, name):
    make, looks_like = UNUSUAL[name]
    painted = client.stylize(make(small), "mist-ink", **TINY)
    assert (painted.mode, painted.size) == ("RGB", (48, 32))
    # One step from the content: whatever was read wrongly would still be seen.
    assert difference(painted, looks_like(small)) < 12
    assert difference(painted, ImageChops.invert(looks_like(small))) > 12


def test_transparency_is_returned_as_it_was(client, small):
    alpha = Image.linear_gradient("L").resize(small.size)
    cut = small.copy()
    cut.putalpha(alpha)
    painted = client.stylize(cut, "mist-ink", **TINY)
    assert painted.mode == "RGBA"
    assert painted.getchannel("A").tobytes() == alpha.tobytes()


def test_what_cant_be_seen_has_no_say(client, small):
    pictures = []
    for hidden in ((255, 0, 0, 0), (0, 0, 255, 0)):
        half = Image.new("RGBA", small.size, hidden)
        half.paste(small.crop((0, 0, 24, 32)), (0, 0))
        pictures.append(client.submit(half, "mist-ink", **TINY).result_bytes())
    assert pictures[0] == pictures[1]


def test_a_palettes_transparent_colour_is_returned_as_it_was(client, small):
    indexed = small.quantize(16)
    data = file_of(indexed, transparency=3)
    painted = client.stylize(data, "mist-ink", **TINY)
    assert painted.mode == "RGBA"
    expected = indexed.point([0 if index == 3 else 255 for index in range(256)], "L")
    assert painted.getchannel("A").tobytes() == expected.tobytes()
    assert set(expected.tobytes()) == {0, 255}


@pytest.mark.parametrize(("orientation", "turn"), [(6, Image.Transpose.ROTATE_270), (8, Image.Transpose.ROTATE_90)])
def test_a_photo_that_lies_on_its_side_is_painted_upright(client, small, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = client.upload(file_of(small, "JPEG", quality=95, exif=exif))
    assert (stored.width_px, stored.height_px) == (32, 48)
    painted = client.stylize(stored, "mist-ink", **TINY)
    assert painted.size == (32, 48)
    assert painted.getexif().get(0x0112, 1) == 1
    assert difference(painted, small.transpose(turn)) < 12


@pytest.mark.parametrize(
    ("style", "options", "reason", "field", "text"),
    [
        ("mist-ink", {"recipe": "paintrly"}, "RECIPE_UNKNOWN", "spec.recipe", "Did you mean 'painterly'?"),
        ("mist-ick", {}, "STYLE_UNKNOWN", "spec.styles[0].gallery_style", "Did you mean 'mist-ink'?"),
        (
            "mist-ink",
            {"style_layers": ["relu4-1"]},
            "LAYER_UNKNOWN",
            "spec.parameters.style_layers",
            "Did you mean 'relu4_1'?",
        ),
        (
            "mist-ink",
            {"content_layers": ["conv42"]},
            "LAYER_UNKNOWN",
            "spec.parameters.content_layers",
            "Did you mean 'conv4_2'?",
        ),
        ("mist-ink", {"weights": "orignal"}, "WEIGHTS_UNKNOWN", "spec.parameters.weights", "Did you mean 'original'?"),
        (
            "mist-ink",
            {"style_weight": float("nan")},
            "PARAMETER_INVALID",
            "spec.parameters.style_weight",
            "style_weight is nan",
        ),
        (
            "mist-ink",
            {"content_weight": float("inf")},
            "PARAMETER_INVALID",
            "spec.parameters.content_weight",
            "content_weight is inf",
        ),
        ("mist-ink", {"tv_weight": -1}, "PARAMETER_INVALID", "spec.parameters.tv_weight", "tv_weight is -1"),
        ({"mist-ink": -2.0}, {}, "PARAMETER_INVALID", "spec.styles[0].weight", "style's weight is -2.0"),
        ("mist-ink", {"size_px": 31}, "PARAMETER_INVALID", "spec.parameters.size_px", "size_px is 31"),
        ("mist-ink", {"size_px": 10**6}, "PARAMETER_INVALID", "spec.parameters.size_px", "at most 16384 px"),
        ("mist-ink", {"steps": 0}, "PARAMETER_INVALID", "spec.parameters.steps", "steps is 0"),
    ],
)
def test_a_name_or_number_that_cant_be_meant_is_refused_with_what_can(
    client, photo, style, options, reason, field, text
):
    before = job_ids(client)
    with pytest.raises(impasto.ParameterError) as caught:
        client.submit(photo, style, **{**TINY, **options})
    assert text in str(caught.value)
    assert (caught.value.reason, caught.value.field) == (reason, field)
    assert job_ids(client) == before


def test_a_server_that_is_gone_is_said_to_be(photo):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(impasto.ServerUnavailableError, match=f"No Impasto server answers at {address}\\. ") as caught:
        impasto.Client(address).submit(photo, "mist-ink")
    assert "impasto serve" in str(caught.value)
    assert isinstance(caught.value, ConnectionError)


def test_a_server_older_than_the_client_is_said_to_be(photo):
    with running(Scripted(lambda request, context: iter(()))) as old, impasto.Client(old.address) as client:
        with pytest.raises(impasto.ServerTooOldError) as caught:
            client.submit(photo, "mist-ink")
        assert str(caught.value) == (
            f"The server at {old.address} is version 0.0.9 and does not know UploadImage; "
            f"this client is version {impasto.__version__}. Update the server."
        )
