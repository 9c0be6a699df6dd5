"""A filter in favour of low frequencies, for steps that go further where the picture is large in form.

Sources: Olah, Mordvintsev & Schubert 2017, "Feature Visualization", on preconditioning by a Fourier basis; the power
of the spectrum is a parameter here, where theirs is that of natural images.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from .bands import band_bytes, bands

Place = tuple[slice, slice]
"""Some channels and some rows of a picture."""

EVERYWHERE = (slice(None), slice(None))


def gains(height: int, width: int, power: float, like: Tensor) -> Tensor:
    """What each wave of a picture is multiplied by, (H, W // 2 + 1): (2 f) ^ -power for f cycles a pixel.

    The highest frequency along an axis, f = ½, stays as it is; what has no frequency counts as one wave a picture.
    """
    rows = torch.fft.fftfreq(height, device=like.device, dtype=like.dtype)
    columns = torch.fft.rfftfreq(width, device=like.device, dtype=like.dtype)
    frequencies = torch.hypot(rows[:, None], columns[None]).clamp_min_(1 / max(height, width))
    return frequencies.mul_(2).pow_(-power)


def filtered(picture: Tensor, gain: Tensor) -> Iterator[tuple[Place, Tensor]]:
    """The filtered picture, part by part; `gain` is that of its size. A part of the picture may change once it came.

    Before the first part comes, all memory of the picture's size is taken that the others will need.
    """
    if picture.device.type != "cpu":
        at_once = picture.shape[1] if picture.nbytes <= band_bytes(picture.device) else 1
        for first in range(0, picture.shape[1], at_once):
            channels = slice(first, first + at_once)
            yield (channels, slice(None)), filtered_at_once(picture[:, channels], gain)
        return
    # Channel by channel and along one axis after the other: a sixth of the room, and no slower.
    height, width = picture.shape[-2:]
    waves = torch.empty_like(gain, dtype=picture.dtype.to_complex())
    side = max(1, band_bytes(picture.device) // (waves.itemsize * height))
    for channel in range(picture.shape[1]):
        for rows in bands(picture):
            waves[rows] = torch.fft.rfft(picture[0, channel, rows])
        for part, factor in zip(torch.split(waves, side, 1), torch.split(gain, side, 1), strict=True):
            part.copy_(torch.fft.ifft(torch.fft.fft(part, dim=0).mul_(factor), dim=0))
        for rows in bands(picture):
            yield (slice(channel, channel + 1), rows), torch.fft.irfft(waves[rows], n=width)[None, None]


def filtered_at_once(picture: Tensor, gain: Tensor) -> Tensor:
    """All of it, with three times its room."""
    waves = torch.fft.rfft2(picture).mul_(gain)
    found: Tensor = torch.fft.irfft2(waves, s=picture.shape[-2:])
    return found


def filter_(picture: Tensor, gain: Tensor) -> Tensor:
    """Filters a picture (1, 3, H, W) in place."""
    for place, part in filtered(picture, gain):
        picture[:, *place] = part
    return picture
