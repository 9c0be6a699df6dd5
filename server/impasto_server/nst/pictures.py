"""Pictures between the world's form (RGB in [0, 1]) and the network's (normalised): normalise, resize, show."""

import functools
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from .bands import bands
from .weights import COLOUR_MEAN, COLOUR_STD

_BLACK = tuple(-mean / std for mean, std in zip(COLOUR_MEAN, COLOUR_STD, strict=True))
_WHITE = tuple((1 - mean) / std for mean, std in zip(COLOUR_MEAN, COLOUR_STD, strict=True))
"""As normalised pictures have them."""


def normalised(picture: Tensor) -> Tensor:
    """RGB in [0, 1], (…, 3, H, W), in deviations from ImageNet's mean colour; a batch of one if it had none."""
    return normalise_((picture if picture.ndim == 4 else picture[None]).clone())


def normalise_(picture: Tensor) -> Tensor:
    """The same in place, (1, 3, H, W)."""
    return picture.sub_(_colour(COLOUR_MEAN, picture)).div_(_colour(COLOUR_STD, picture))


def denormalised(picture: Tensor) -> Tensor:
    """The reverse of `normalised`, clamped to [0, 1]."""
    return (picture * _colour(COLOUR_STD, picture)).add_(_colour(COLOUR_MEAN, picture)).clamp_(0, 1)


def clamp_(picture: Tensor, channels: slice = slice(None)) -> Tensor:
    """Keeps a normalised picture's colours, or those channels of it, to what [0, 1] can show, in place."""
    return picture.clamp_(_colour(_BLACK, picture)[channels], _colour(_WHITE, picture)[channels])


def resized(picture: Tensor, height: int, width: int) -> Tensor:
    """Bilinear and antialiased, as torchvision does with floats; (3, H, W) or (1, 3, H, W), kept as it was."""
    batch = picture if picture.ndim == 4 else picture[None]
    if batch.shape[-2:] != (height, width):
        able = _able_to_resize(picture.device, picture, height, width)
        batch = F.interpolate(batch.to(able), (height, width), mode="bilinear", antialias=True).to(picture.device)
    return batch if picture.ndim == 4 else batch[0]


def resized_on(device: torch.device, picture: Tensor, height: int, width: int) -> Tensor:
    """A picture (3, H, W), floats in [0, 1] or uint8, resized on a device that it may not be on; a new tensor of
    floats, (1, 3, height, width).

    Bytes travel as bytes, and only one colour at a time is there as floats at its own resolution.
    """
    picture = picture.to(_able_to_resize(device, picture, height, width))
    dtype = picture.dtype if picture.is_floating_point() else torch.float32
    made = torch.empty((1, 3, height, width), dtype=dtype, device=device)
    for colour, room in zip(picture, made[0], strict=True):
        numbers = colour if colour.is_floating_point() else colour.to(torch.float32).div_(255)
        room.copy_(resized(numbers[None], height, width)[0])
    return made


_FURTHEST = 60
"""How many times smaller a device makes a picture at once: beyond about 90 CUDA's kernel, and beyond 63 ROCm's, asks
for more shared memory than a block has."""


def _able_to_resize(device: torch.device, picture: Tensor, height: int, width: int) -> torch.device:
    """This device, or the CPU where it can't."""
    before, after = picture.shape[-2:], (height, width)
    times = max(old / new for old, new in zip(before, after, strict=True))
    return device if times <= _FURTHEST and _resizes(device) else torch.device("cpu")


@functools.cache
def _resizes(device: torch.device) -> bool:
    """Whether a device has the kernel: Metal hasn't in every version of torch."""
    try:
        F.interpolate(torch.zeros((1, 1, 2, 2), device=device), (1, 1), mode="bilinear", antialias=True)
    except NotImplementedError:
        return False
    return True


def resized_by_pillow(picture: Tensor, height: int, width: int) -> Tensor:
    """A picture of bytes, (3, H, W), as torchvision's `Resize` makes it from a file: by Pillow, bilinear and
    antialiased, rounded to bytes after each of the two directions. On the CPU.
    """
    if picture.shape[-2:] == (height, width):
        return picture
    image = Image.fromarray(picture.permute(1, 2, 0).cpu().numpy())
    return torch.from_numpy(np.array(image.resize((width, height), Image.Resampling.BILINEAR))).permute(2, 0, 1)


def enlarged(picture: Tensor, height: int, width: int) -> Tensor:
    """Bicubic, for taking a painting from one scale to the next."""
    return F.interpolate(picture, (height, width), mode="bicubic", align_corners=False)


def shrunk(picture: Tensor, max_size_px: int) -> Tensor:
    """A picture (1, 3, H, W) by a whole number smaller, its long side still `max_size_px` or more; always a copy."""
    factor = max(picture.shape[-2:]) // max_size_px
    if factor < 2 or factor > min(picture.shape[-2:]):
        return picture.clone()
    return F.avg_pool2d(picture, factor)


def shown(picture: Tensor, *, down: bool = False) -> Tensor:
    """A normalised picture (1, 3, H, W) as uint8 (H, W, 3) RGB on the CPU, rounded to the nearest or `down`."""
    return _whole_numbers(picture, 255, down=down).to(torch.uint8).cpu()


def rows_shown(picture: Tensor, bits: int, *, down: bool = False) -> Iterator[Tensor]:
    """A normalised picture (1, 3, H, W) as bands of rows (rows, W, 3), RGB, uint8 or for 16 bits uint16, on the CPU.

    Rounded to the nearest; only bytes may be rounded `down`.
    """
    for band in bands(picture):
        numbers = _whole_numbers(picture[..., band, :], 2**bits - 1, down=down and bits == 8)
        yield numbers.to(torch.uint8 if bits == 8 else torch.uint16).cpu()


def _whole_numbers(picture: Tensor, white: int, *, down: bool) -> Tensor:
    numbers = denormalised(picture)[0].mul_(white)
    return (numbers.floor_() if down else numbers.round_()).permute(1, 2, 0).contiguous()


def _colour(values: tuple[float, ...], like: Tensor) -> Tensor:
    return _constant(values, like.dtype, like.device)


@functools.cache
def _constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    # Kept, as a CUDA graph can't be recorded while something comes from main memory.
    return torch.tensor(values, dtype=dtype, device=device).view(3, 1, 1)
