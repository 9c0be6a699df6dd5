"""Pictures in and out of files: what is accepted, how it becomes RGB, how results and previews are encoded.

A leaf like `recipes`: read by service, jobs and engine alike. Pillow only, no torch and no numpy.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageCms, ImageOps, ImageStat, UnidentifiedImageError

# Pillow's names. An allow-list: every decoder is code that strangers' bytes reach.
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "GIF")
PREVIEW_FORMATS = ("JPEG", "PNG", "WEBP")

# Modes that have a plain meaning as 8-bit colour. 32-bit integers and floats have no agreed white.
_MODES = {
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBa",
    "RGBX",
    "CMYK",
    "YCbCr",
    "I;16",
    "I;16B",
    "I;16L",
}
_EXIF_ORIENTATION = 0x0112
_SRGB = ImageCms.createProfile("sRGB")


class ImageError(ValueError):
    """A file that can't be painted. `reason` is a word for programs, the text is for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the header of an image file says. Width and height are as seen, after the EXIF rotation."""

    format: str
    width_px: int
    height_px: int
    has_alpha: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: flattened RGB, the alpha it had (mode L), and its colour profile if that isn't sRGB."""

    rgb: Image.Image
    alpha: Image.Image | None
    icc_profile: bytes | None


def inspect(path: Path, *, max_pixels: int) -> ImageFacts:
    """Reads the header only, so that a decompression bomb is refused before it goes off.

    Raises ImageError: IMAGE_EMPTY, IMAGE_FORMAT_UNSUPPORTED, IMAGE_TOO_LARGE, IMAGE_ANIMATED, IMAGE_UNREADABLE.
    """
    with _open(path) as image:
        width, height = image.size
        if width < 1 or height < 1:
            raise ImageError("IMAGE_EMPTY", f"The image is {width} × {height}: it has no pixels.")
        if width * height > max_pixels:
            raise ImageError(
                "IMAGE_TOO_LARGE",
                f"The image has {width} × {height} = {width * height / 1e6:.1f} million pixels; this server takes "
                f"at most {max_pixels / 1e6:.1f} million: scale it down first.",
            )
        # Phones write a JPEG's second picture (gain map, stereo) as MPO; the first one is the photo.
        frames = 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)
        if frames > 1:
            raise ImageError(
                "IMAGE_ANIMATED",
                f"The {image.format} file holds {frames} frames or pages; export the one to be painted by itself.",
            )
        if image.mode not in _MODES:
            raise ImageError(
                "IMAGE_FORMAT_UNSUPPORTED",
                f"The image's pixels are of kind {image.mode!r}; convert it to RGB or gray, 8 or 16 bits a channel.",
            )
        # Not image.getexif(): a PNG's would decode the pixels to look for EXIF behind them.
        if Image.Image.getexif(image).get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8):
            width, height = height, width
        name = "JPEG" if image.format == "MPO" else str(image.format)
        return ImageFacts(name, width, height, _has_alpha(image))


def verify(path: Path) -> None:
    """Decodes the whole file. Raises ImageError: IMAGE_TRUNCATED, IMAGE_UNREADABLE."""
    with _open(path) as image:
        _decode(image)


def load(path: Path, *, icc_profile: bytes | None = None, keep_profile: bool = False) -> Picture:
    """Decodes a file that `inspect` has accepted, turned upright and flattened.

    With `keep_profile` an RGB file's numbers stay as they are and its profile is handed on; otherwise the
    numbers are converted into `icc_profile` (None: sRGB). Transparent places take the mean visible colour, so
    that what can't be seen has no say in how the rest is painted.
    """
    with _open(path) as opened:
        _decode(opened)
        own_profile = opened.info.get("icc_profile")
        is_rgb = opened.mode in ("RGB", "RGBA", "P", "PA")
        image = ImageOps.exif_transpose(opened)
    alpha = image.convert("RGBA").getchannel("A") if _has_alpha(image) else None
    kept = own_profile if keep_profile and is_rgb else None
    rgb = _to_rgb(image) if kept else _converted(image, own_profile, icc_profile)
    if alpha is not None:
        rgb = _flattened(rgb, alpha)
    return Picture(rgb, alpha, kept)


def as_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    """An RGB picture for a screen; `icc_profile` says what its numbers mean (None: they are sRGB already)."""
    return _converted(image, icc_profile, None)


def encode(image: Image.Image, image_format: str, *, quality: int = 85, icc_profile: bytes | None = None) -> bytes:
    """The picture as a file of one of PREVIEW_FORMATS; `quality` (1 to 100) counts for JPEG and WebP."""
    buffer = io.BytesIO()
    # PNG: level 3 is within a few per cent of level 6's size on painted pictures and takes a third of its time.
    options = {"compress_level": 3} if image_format == "PNG" else {"quality": quality}
    image.save(buffer, image_format, icc_profile=icc_profile, **options)
    return buffer.getvalue()


def shrunk(image: Image.Image, max_size_px: int) -> Image.Image:
    """The picture with its longest side at most `max_size_px`; never enlarged."""
    if max(image.size) <= max_size_px:
        return image
    small = image.copy()
    small.thumbnail((max_size_px, max_size_px), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return small


def _open(path: Path) -> Image.Image:
    # We count pixels ourselves (`inspect`), with a limit that can be set; Pillow's is a process-wide warning.
    Image.MAX_IMAGE_PIXELS = None
    if path.stat().st_size == 0:
        raise ImageError("IMAGE_EMPTY", "The file is empty (0 bytes): it is no image.")
    try:
        return Image.open(path, formats=FORMATS)
    except UnidentifiedImageError:
        if _is_png_without_pixels(path):
            raise ImageError("IMAGE_EMPTY", "The image has no pixels: its width or height is 0.") from None
        raise ImageError(
            "IMAGE_UNREADABLE",
            f"The file is not an image of a kind this server reads ({', '.join(FORMATS)}).",
        ) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError("IMAGE_UNREADABLE", f"The image's header can't be read: {error}.") from error


def _is_png_without_pixels(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(24)
    return header[:8] == b"\x89PNG\r\n\x1a\n" and 0 in struct.unpack(">II", header[16:].ljust(8, b"\xff"))


def _decode(image: Image.Image) -> None:
    try:
        image.load()
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        text = str(error)
        if "truncated" in text or "unexpected end" in text or isinstance(error, EOFError):
            raise ImageError(
                "IMAGE_TRUNCATED", "The image file ends too early: it was cut off. Save or copy it again."
            ) from error
        raise ImageError("IMAGE_UNREADABLE", f"The image can't be decoded: {text}.") from error


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips 16-bit gray at 255 instead of scaling it.
        return image.point(lambda value: value * (1 / 257), "L").convert("RGB")
    if image.mode in ("P", "PA", "LA", "La", "RGBa"):
        image = image.convert("RGBA")
    return image.convert("RGB")


def _converted(image: Image.Image, source: bytes | None, target: bytes | None) -> Image.Image:
    if source is None and target is None:
        return _to_rgb(image)
    plain = image if source and image.mode == "CMYK" else _to_rgb(image)
    try:
        return ImageCms.profileToProfile(
            plain,
            ImageCms.ImageCmsProfile(io.BytesIO(source)) if source else _SRGB,
            ImageCms.ImageCmsProfile(io.BytesIO(target)) if target else _SRGB,
            outputMode="RGB",
        ) or _to_rgb(image)
    except (ImageCms.PyCMSError, OSError):
        # A broken profile, or a gray one: the numbers themselves are the best reading there is.
        return _to_rgb(image)


def _flattened(rgb: Image.Image, alpha: Image.Image) -> Image.Image:
    visible = ImageStat.Stat(rgb, alpha)
    colour = tuple(round(mean) for mean in visible.mean) if visible.count[0] else (255, 255, 255)
    return Image.composite(rgb, Image.new("RGB", rgb.size, colour), alpha)
