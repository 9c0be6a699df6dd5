"""Raw pixels of a host to the files that travel, and painted files to raw pixels of the size and depth it wants."""

from array import array
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from impasto._exceptions import ImageError
from impasto._images import decode

if TYPE_CHECKING:
    from PIL.Image import Image

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


def colour_of(data: bytes) -> "Image":
    """The colours of a painted file. Its transparency is the host's business, which has it more precisely."""
    return decode(data).convert("RGB")


def pixels_of(image: "Image", width: int, height: int, depth: int) -> bytes:
    """RGB pixels at this size: 8 bits a channel, or 16 in the machine's own byte order."""
    import PIL.Image

    if depth == 16:
        return sixteen_bits(image, width, height)
    if image.size != (width, height):
        image = image.resize((width, height), PIL.Image.Resampling.BICUBIC)
    return image.tobytes()


def sixteen_bits(image: "Image", width: int, height: int) -> bytes:
    """RGB pixels of 16 bits, enlarged without rounding, with the steps of the 8-bit file smoothed out.

    A painted file says of each value only that it lies within half a step of a whole number. Among the pictures
    that would have given the same file we take a smooth one: nowhere further from it than half a step of 1/255.
    """
    samples = array("H", bytes(width * height * 6))
    for channel, band in enumerate(image.split()):
        samples[channel::3] = array("H", smooth_band(band, width, height).tobytes())
    return samples.tobytes()


def smooth_band(band: "Image", width: int, height: int) -> "Image":
    """One channel as PIL mode I;16."""
    from PIL import ImageMath
    from PIL.Image import Resampling

    exact = band.convert("F")
    blurred = exact.resize((max(1, band.width // 4), max(1, band.height // 4)), Resampling.BOX)
    blurred = blurred.resize(band.size, Resampling.BICUBIC)
    near = ImageMath.lambda_eval(
        lambda given: given["max"](given["min"](given["blurred"], given["exact"] + 0.5), given["exact"] - 0.5),
        blurred=blurred,
        exact=exact,
    )
    if near.size != (width, height):
        near = near.resize((width, height), Resampling.BICUBIC)
    scaled: Image = ImageMath.lambda_eval(
        lambda given: given["convert"](given["max"](given["min"](given["near"] * 257.0, 65535.0), 0.0) + 0.5, "I"),
        near=near,
    )
    return scaled.convert("I;16")


def srgb_pixels(data: bytes) -> tuple[int, int, bytes]:
    """Width, height and 8-bit RGB pixels of a preview or thumbnail, ready for a screen."""
    image = decode(data)
    profile = image.info.get("icc_profile")
    image = image.convert("RGB")
    if profile:
        from PIL import ImageCms

        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB") or image
    return image.width, image.height, image.tobytes()


def thumbnail(data: bytes, size_px: int) -> tuple[int, int, bytes]:
    """Width, height and 8-bit RGB pixels of a picture that fits a square."""
    import PIL.Image

    image = decode(data).convert("RGB")
    image.thumbnail((size_px, size_px), PIL.Image.Resampling.LANCZOS)
    return image.width, image.height, image.tobytes()
