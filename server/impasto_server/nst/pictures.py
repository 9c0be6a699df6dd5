"""Pictures between the world's form (RGB in [0, 1]) and the network's (normalised): normalise, resize, show."""

import functools
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from .bands import bands
from .weights import COLOUR_MEAN, COLOUR_STD

_BLACK = tuple(-mean / std for mean, std in zip(COLOUR_MEAN, COLOUR_STD, strict=True))
_WHITE = tuple((1 - mean) / std for mean, std in zip(COLOUR_MEAN, COLOUR_STD, strict=True))
"""As normalised pictures have them."""


def in_unit(picture: Tensor) -> Tensor:
    """A picture in [0, 1]: floats as they are, uint8 over 255."""
    return picture if picture.is_floating_point() else picture.to(torch.float32).div_(255)


def normalised(picture: Tensor) -> Tensor:
    """RGB in [0, 1], (…, 3, H, W), in deviations from ImageNet's mean colour; a batch of one if it had none."""
    batch = picture if picture.ndim == 4 else picture[None]
    return (batch - _colour(COLOUR_MEAN, batch)).div_(_colour(COLOUR_STD, batch))


def denormalised(picture: Tensor) -> Tensor:
    """The reverse of `normalised`, clamped to [0, 1]."""
    return torch.addcmul(_colour(COLOUR_MEAN, picture), picture, _colour(COLOUR_STD, picture)).clamp_(0, 1)


def clamp_(picture: Tensor, channels: slice = slice(None)) -> Tensor:
    """Keeps a normalised picture's colours, or those channels of it, to what [0, 1] can show, in place."""
    return picture.clamp_(_colour(_BLACK, picture)[channels], _colour(_WHITE, picture)[channels])


def resized(picture: Tensor, height: int, width: int) -> Tensor:
    """Bilinear and antialiased, as torchvision and Pillow do; (3, H, W) or (1, 3, H, W), kept as it was."""
    batch = picture if picture.ndim == 4 else picture[None]
    if batch.shape[-2:] != (height, width):
        batch = F.interpolate(batch, (height, width), mode="bilinear", antialias=True)
    return batch if picture.ndim == 4 else batch[0]


def enlarged(picture: Tensor, height: int, width: int) -> Tensor:
    """Bicubic, for taking a painting from one scale to the next."""
    return F.interpolate(picture, (height, width), mode="bicubic", align_corners=False)


def shrunk(picture: Tensor, max_size_px: int) -> Tensor:
    """A picture (1, 3, H, W) by a whole number smaller, its long side still `max_size_px` or more; always a copy."""
    factor = max(picture.shape[-2:]) // max_size_px
    if factor < 2 or factor > min(picture.shape[-2:]):
        return picture.clone()
    return F.avg_pool2d(picture, factor)


def shown(picture: Tensor) -> Tensor:
    """A normalised picture (1, 3, H, W) as uint8 (H, W, 3) RGB on the CPU."""
    return _whole_numbers(picture, 255).to(torch.uint8).cpu()


def rows_shown(picture: Tensor, bits: int) -> Iterator[Tensor]:
    """A normalised picture (1, 3, H, W) as bands of rows (rows, W, 3), RGB, uint8 or for 16 bits uint16, on the CPU."""
    for band in bands(picture):
        numbers = _whole_numbers(picture[..., band, :], 2**bits - 1)
        yield numbers.to(torch.uint8 if bits == 8 else torch.uint16).cpu()


def _whole_numbers(picture: Tensor, white: int) -> Tensor:
    return denormalised(picture)[0].mul_(white).round_().permute(1, 2, 0).contiguous()


def _colour(values: tuple[float, ...], like: Tensor) -> Tensor:
    return _constant(values, like.dtype, like.device)


@functools.cache
def _constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    # Kept, as a CUDA graph can't be recorded while something comes from main memory.
    return torch.tensor(values, dtype=dtype, device=device).view(3, 1, 1)
