"""Raw pixels of a host to the files that travel, and painted files to what a host can read."""

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from impasto._exceptions import ImageError
from impasto._images import decode, png_of_image

if TYPE_CHECKING:
    from PIL.Image import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
LARGEST_STYLE_PX = 2048
"""Long side of a style that is cut from a layer: no recipe looks at more."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Interleaved 8-bit pixels, row by row from the top."""

    width: int
    height: int
    channels: int
    pixels: bytes
    icc_profile: bytes = b""

    def image(self) -> "Image":
        """As a PIL image. Raises ImageError if the numbers don't fit each other."""
        import PIL.Image

        wanted = self.width * self.height * self.channels
        if self.channels not in MODES or min(self.width, self.height) < 1 or len(self.pixels) != wanted:
            raise ImageError(
                f"{self.width} × {self.height} pixels of {self.channels} channels were announced "
                f"and {len(self.pixels)} bytes came."
            )
        return PIL.Image.frombuffer(MODES[self.channels], (self.width, self.height), self.pixels)

    def png(self, longest_px: int) -> bytes:
        """As a file whose long side is at most `longest_px`, its colour profile embedded."""
        import PIL.Image

        image = self.image()
        zoom = longest_px / max(image.size)
        if zoom < 1:
            size = max(1, round(image.width * zoom)), max(1, round(image.height * zoom))
            image = image.resize(size, PIL.Image.Resampling.LANCZOS, reducing_gap=3.0)
        buffer = BytesIO()
        image.save(buffer, "PNG", compress_level=1, icc_profile=self.icc_profile or None)
        return buffer.getvalue()

    def repainted(self, painting: "Image") -> bytes:
        """Pixels like these, with the colours of a painting. Transparency is ours: nobody has it more precisely."""
        image = resized(painting.convert("RGB"), (self.width, self.height))
        if self.channels == 4:
            image.putalpha(self.image().getchannel("A"))
        return image.tobytes()


def cropped(data: bytes, crop: tuple[float, float, float, float]) -> bytes:
    """A part (x, y, width, height, 0 to 1) of a picture's file, as it is seen, as a file. Raises ImageError."""
    import PIL.Image
    import PIL.ImageOps

    try:
        image = PIL.Image.open(BytesIO(data))
        image.load()
    except (OSError, PIL.Image.DecompressionBombError) as error:
        raise ImageError(f"A part of this picture can't be taken, because it can't be read here: {error}.") from None
    seen = PIL.ImageOps.exif_transpose(image)
    x, y, width, height = crop
    left, top = min(int(x * seen.width), seen.width - 1), min(int(y * seen.height), seen.height - 1)
    right = max(left + 1, min(seen.width, round((x + width) * seen.width)))
    bottom = max(top + 1, min(seen.height, round((y + height) * seen.height)))
    return png_of_image(seen.crop((left, top, right, bottom)))


def resized(image: "Image", size: tuple[int, int]) -> "Image":
    """At this size."""
    import PIL.Image

    return image if image.size == size else image.resize(size, PIL.Image.Resampling.BICUBIC)


def bare_png(data: bytes) -> bytes:
    """A PNG with nothing but its pixels: no profile, no gamma, so that every reader finds the same numbers in it.

    PIL knows colours of 8 bits only. Hosts read the 16 bits of a file themselves.
    """
    if not data.startswith(PNG_SIGNATURE):
        raise ImageError("The server sent a picture that is no PNG.")
    kept, start = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while start < len(data):
        # Length, name, content, checksum (PNG specification, 5.3); a capital letter says that readers need it.
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        if data[start + 4 : start + 5].isupper():
            kept.append(data[start:end])
        start = end
    return b"".join(kept)


def srgb_pixels(data: bytes, profile: bytes = b"") -> tuple[int, int, bytes]:
    """Width, height and 8-bit RGB pixels of a preview or thumbnail, ready for a screen.

    `profile` says what its numbers mean if it doesn't itself; empty is sRGB.
    """
    image = as_srgb(decode(data), profile)
    return image.width, image.height, image.tobytes()


def thumbnail(data: bytes, size_px: int) -> tuple[int, int, bytes]:
    """Width, height and 8-bit RGB pixels in sRGB of a picture that fits a square."""
    import PIL.Image

    image = decode(data)
    profile = image.info.get("icc_profile", b"")
    image = image.convert("RGB")
    image.thumbnail((size_px, size_px), PIL.Image.Resampling.LANCZOS)
    image = as_srgb(image, profile)
    return image.width, image.height, image.tobytes()


def as_srgb(image: "Image", profile: bytes) -> "Image":
    """An RGB image for a screen. Numbers whose profile can't be read are taken as they are."""
    profile = image.info.get("icc_profile") or profile
    image = image.convert("RGB")
    if not profile:
        return image
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        screen = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, screen, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError):
        return image


def rgb_png(width: int, height: int, pixels: bytes) -> bytes:
    """RGB pixels as a file."""
    return Raw(width, height, 3, pixels).png(max(width, height))
