"""The command line: paint every picture of the gallery, or the ones named, and save them as JPEGs."""

from __future__ import annotations

import argparse
import importlib
import io
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from tools.gallery.grid import Array

NAMES = (
    "night-swirl",
    "sunset-knife",
    "meadow-dots",
    "lagoon-wash",
    "mist-ink",
    "wave-woodcut",
    "sea-mosaic",
    "garden-glass",
)
LONG_SIDE_PX = 768
LARGEST_BYTES = 200_000
_HOME = Path(__file__).parents[2] / "server" / "impasto_server" / "gallery"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.gallery", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--out", type=Path, default=_HOME, help="folder to write to (default: the server's gallery)")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(NAMES))
    if unknown:
        parser.error(f"no picture is called {', '.join(unknown)}; there are {', '.join(NAMES)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or NAMES:
        data = jpeg(render(name))
        path = arguments.out / f"{name}.jpg"
        path.write_bytes(data)
        print(f"{path}  {len(data) / 1000:.0f} kB")


def render(name: str) -> Array:
    """The picture of that name, seeded by it, so that no picture depends on another."""
    module = importlib.import_module(f"tools.gallery.{name.replace('-', '_')}")
    picture: Array = module.render(np.random.default_rng(zlib.crc32(name.encode())))
    return picture


def jpeg(picture: Array) -> bytes:
    """The picture at its printed size, in the best quality up to 88 that stays under `LARGEST_BYTES`."""
    image = Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))
    ratio = LONG_SIDE_PX / max(image.size)
    if ratio < 1:
        image = image.resize((round(image.width * ratio), round(image.height * ratio)), Image.Resampling.LANCZOS)
    image = image.filter(ImageFilter.UnsharpMask(radius=1.0, percent=30, threshold=0))
    for quality in range(88, 50, -2):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= LARGEST_BYTES:
            break
    return buffer.getvalue()


if __name__ == "__main__":
    main()
