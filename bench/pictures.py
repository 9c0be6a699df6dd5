"""What is painted in the measurements: photos as content, paintings as styles, float32 (3, H, W) RGB in [0, 1]."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from impasto_server.gallery import GALLERY
from impasto_server.nst.pictures import resized

_SHARED = Path("../shared/data")
"""A folder beside the repository. It holds the textbook's own two pictures where the project has it."""

_PAINTINGS = (("lagoon-wash", "night-swirl"), ("garden-glass", "wave-woodcut"), ("sunset-knife", "meadow-dots"))
"""Contents and styles where scikit-image isn't there."""

_PHOTOS_AND_PAINTINGS = (("coffee", "night-swirl"), ("astronaut", "wave-woodcut"), ("rocket", "meadow-dots"))


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
    if importlib.util.find_spec("skimage"):
        for name, style_name in _PHOTOS_AND_PAINTINGS:
            found.append(Pair(f"{name} × {style_name}", photo(name), painting(style_name)))
    else:
        print("  NOTICE: scikit-image isn't there, so paintings stand for photos", flush=True)
        for name, style_name in _PAINTINGS:
            found.append(Pair(f"{name} × {style_name}", painting(name), painting(style_name)))
    return found[:count]


def photo(name: str) -> Tensor:
    """A photo of scikit-image (CC0)."""
    import skimage.data  # a machine with a GPU may not have it; the gallery is there wherever the source is

    return _tensor(np.asarray(getattr(skimage.data, name)()))


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
