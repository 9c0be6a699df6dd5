"""What is painted in the measurements: photos as content, paintings as styles, float32 (3, H, W) RGB in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from impasto_server.gallery import GALLERY
from impasto_server.nst.pictures import resized

_SHARED = Path("../shared/data")
"""A folder beside the repository. It holds the textbook's own two pictures where the project has it."""

_PHOTOS_AND_PAINTINGS = (("coffee", "night-swirl"), ("astronaut", "wave-woodcut"), ("rocket", "meadow-dots"))

_Crop = tuple[slice, slice]
_WHOLE = slice(None), slice(None)
_UNSEEN: tuple[tuple[str, _Crop, str], ...] = (
    ("chelsea", _WHOLE, "garden-glass"),
    ("stereo_motorcycle", _WHOLE, "lagoon-wash"),
    ("immunohistochemistry", _WHOLE, "mist-ink"),
    ("hubble_deep_field", _WHOLE, "sunset-knife"),
    ("retina", _WHOLE, "sea-mosaic"),
    ("astronaut", (slice(0, 260), slice(120, 315)), "coffee"),
    ("coffee", (slice(60, 360), slice(150, 550)), "wave-woodcut"),
    ("rocket", (slice(0, 420), slice(200, 515)), "night-swirl"),
    ("chelsea", (slice(40, 220), slice(60, 300)), "immunohistochemistry"),
    ("moon", _WHOLE, "meadow-dots"),
)
"""Photo, its rows and columns, and a painting or another photo."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A content and a style by their names."""

    name: str
    content: Tensor
    style: Tensor


def pairs(count: int) -> Sequence[Pair]:
    """The textbook's own pair first, where its pictures are at hand, then photos of scikit-image × the gallery."""
    found = []
    content, style = _SHARED / "rainier.jpg", _SHARED / "autumn-oak.jpg"
    if content.exists() and style.exists():
        found.append(Pair("rainier × autumn-oak", opened(content), opened(style)))
    else:
        print(f"  NOTICE: the textbook's pictures are not in {_SHARED}, so they are left out", flush=True)
    for photo_name, painting_name in _PHOTOS_AND_PAINTINGS:
        found.append(Pair(f"{photo_name} × {painting_name}", photo(photo_name), painting(painting_name)))
    return found[:count]


def unseen_pairs(count: int) -> Sequence[Pair]:
    """Up to ten by which no number of a recipe was chosen: cut-outs, grey ones, and photos as styles among them."""
    found = []
    for photo_name, (rows, columns), style_name in _UNSEEN[:count]:
        whole = (rows, columns) == _WHOLE
        name = f"{photo_name}{'' if whole else ' (cut out)'} × {style_name}"
        style = painting(style_name) if any(style_name == each.name for each in GALLERY) else photo(style_name)
        found.append(Pair(name, photo(photo_name)[:, rows, columns], style))
    return found


def photo(name: str) -> Tensor:
    """A photo of scikit-image (CC0); of two that belong together, the first."""
    loaded = getattr(skimage.data, name)()
    pixels = np.asarray(loaded[0] if isinstance(loaded, tuple) else loaded)
    return _tensor(pixels if pixels.ndim == 3 else np.stack((pixels,) * 3, axis=-1))


def painting(name: str) -> Tensor:
    """A painting of our gallery."""
    return opened(next(style.path for style in GALLERY if style.name == name))


def filled(picture: Tensor, height: int, width: int) -> Tensor:
    """The picture's middle in these proportions, resized to exactly this size."""
    zoom = max(height / picture.shape[-2], width / picture.shape[-1])
    inner_height = min(picture.shape[-2], round(height / zoom))
    inner_width = min(picture.shape[-1], round(width / zoom))
    top, left = (picture.shape[-2] - inner_height) // 2, (picture.shape[-1] - inner_width) // 2
    return resized(picture[:, top : top + inner_height, left : left + inner_width], height, width).clamp(0, 1)


def saved(picture: Tensor, path: Path) -> Path:
    """The picture as an 8-bit PNG."""
    pixels = (picture.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    Image.fromarray(pixels.numpy()).save(path)
    return path


def opened(path: Path) -> Tensor:
    """A picture file."""
    with Image.open(path) as image:
        return _tensor(np.array(image.convert("RGB")))


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1) / 255
