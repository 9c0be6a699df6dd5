"""Pictures to files: the format is the suffix's, the file appears whole or not at all."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import click
from PIL import Image

from impasto import _whole_file
from impasto._exceptions import ImageFileError
from impasto._images import decode

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".ppm": "PPM",
}
OPAQUE = ("JPEG", "BMP", "PPM")
TIMELAPSE_FORMATS = {".gif": "GIF", ".webp": "WEBP"}
SIGNATURES = {b"\x89PNG\r\n\x1a\n": "PNG", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF"}


def server_format(output: Path | None) -> Literal["PNG", "TIFF"]:
    """What the server had best write, so that a file of this name needs no other."""
    return "TIFF" if output is not None and FORMATS.get(output.suffix.lower()) == "TIFF" else "PNG"


def result_suffix(stored_format: str) -> str:
    """The suffix of a file as the server keeps it."""
    return ".tif" if stored_format == "tiff" else ".png"


def check_depth(output: Path | None, bits: int | None) -> None:
    """Refuses 16 bits a channel for a file that can't hold them."""
    if bits == 16 and output is not None and FORMATS.get(output.suffix.lower()) not in ("PNG", "TIFF"):
        raise click.BadParameter(
            f"{output.name} can't hold 16 bits a channel; name it .png or .tif.", param_hint="'--bits'"
        )


def check_output(path: Path, formats: Iterable[str], sources: Iterable[Path], option: str) -> None:
    """Refuses, before any work is done, what could not be written afterwards."""
    hint = f"'{option}'"
    if path.suffix.lower() not in formats:
        raise click.BadParameter(
            f"{path.name} has no suffix that says how to write it; known are {', '.join(formats)}.",
            param_hint=hint,
        )
    if not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}.", param_hint=hint)
    if path.is_dir():
        raise click.BadParameter(f"{path} is a folder.", param_hint=hint)
    for source in sources:
        if path.exists() and source.exists() and path.samefile(source):
            raise click.BadParameter(
                f"{path} is one of the pictures to read; it is never overwritten.", param_hint=hint
            )


def write_picture(data: bytes, path: Path) -> None:
    """A server's picture to a file, as it came if the suffix fits: written anew, it would keep 8 bits a channel.

    For JPEG and its like, alpha is laid over white.
    """
    format_name = FORMATS[path.suffix.lower()]
    if any(name == format_name and data.startswith(beginning) for beginning, name in SIGNATURES.items()):
        write_whole(path, data)
        return
    image = decode(data)
    if format_name in OPAQUE:
        image = flatten(image)
    save_whole(image, path, format_name, quality=95)


def flatten(image: Image.Image) -> Image.Image:
    """The picture without alpha, over white."""
    if not image.has_transparency_data:
        return image if image.mode in ("RGB", "L") else image.convert("RGB")
    image, profile = image.convert("RGBA"), image.info.get("icc_profile")
    white = Image.new("RGBA", image.size, "white")
    flat = Image.alpha_composite(white, image).convert("RGB")
    if profile:
        flat.info["icc_profile"] = profile
    return flat


def save_whole(image: Image.Image, path: Path, format_name: str, **options: object) -> None:
    """Saves so that a reader never sees half a file."""
    from io import BytesIO

    buffer = BytesIO()
    if profile := image.info.get("icc_profile"):
        options.setdefault("icc_profile", profile)
    image.save(buffer, format_name, **options)
    write_whole(path, buffer.getvalue())


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file so that a reader never sees half of it. Raises ImageFileError."""
    try:
        _whole_file.write_whole(path, data)
    except OSError as error:
        raise ImageFileError(f"{path} can't be written: {error.strerror or error}.") from None
