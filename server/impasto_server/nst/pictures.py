"""Pictures between the world's form (RGB in [0, 1]) and the network's (normalised): normalise, resize, show."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .weights import COLOUR_MEAN, COLOUR_STD


def normalised(picture: Tensor) -> Tensor:
    """RGB in [0, 1], (…, 3, H, W), in deviations from ImageNet's mean colour; a batch of one if it had none."""
    batch = picture if picture.ndim == 4 else picture[None]
    return (batch - _colour(COLOUR_MEAN, batch)) / _colour(COLOUR_STD, batch)


def denormalised(picture: Tensor) -> Tensor:
    """The reverse of `normalised`, clamped to [0, 1]."""
    return (picture * _colour(COLOUR_STD, picture) + _colour(COLOUR_MEAN, picture)).clamp(0, 1)


def clamped(picture: Tensor) -> Tensor:
    """A normalised picture with its colours kept to those that [0, 1] can show."""
    mean, std = _colour(COLOUR_MEAN, picture), _colour(COLOUR_STD, picture)
    return torch.maximum(torch.minimum(picture, (1 - mean) / std), -mean / std)


def resized(picture: Tensor, height: int, width: int) -> Tensor:
    """Bilinear and antialiased, as torchvision and Pillow do; (3, H, W) or (1, 3, H, W), kept as it was."""
    batch = picture if picture.ndim == 4 else picture[None]
    if batch.shape[-2:] != (height, width):
        batch = F.interpolate(batch, (height, width), mode="bilinear", antialias=True)
    return batch if picture.ndim == 4 else batch[0]


def enlarged(picture: Tensor, height: int, width: int) -> Tensor:
    """Bicubic, for taking a painting from one scale to the next."""
    return F.interpolate(picture, (height, width), mode="bicubic", align_corners=False)


def shown(picture: Tensor) -> Tensor:
    """A normalised picture (1, 3, H, W) as uint8 (H, W, 3) RGB on the CPU."""
    return (denormalised(picture)[0] * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu()


def _colour(values: tuple[float, float, float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(3, 1, 1)
