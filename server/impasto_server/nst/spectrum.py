"""A filter in favour of low frequencies, for steps that go further where the picture is large in form.

Sources: Olah, Mordvintsev & Schubert 2017, "Feature Visualization", on preconditioning by a Fourier basis; the power
of the spectrum is a parameter here, where theirs is that of natural images.
"""

import torch
from torch import Tensor


def filter_(picture: Tensor, power: float) -> Tensor:
    """Multiplies each wave of f cycles a pixel by (2 f) ^ -power, in place; in a picture (1, 3, H, W).

    The highest frequency along an axis, f = ½, stays as it is; what has no frequency counts as one wave a picture.
    """
    height, width = picture.shape[-2:]
    rows = torch.fft.fftfreq(height, device=picture.device, dtype=picture.dtype)
    columns = torch.fft.rfftfreq(width, device=picture.device, dtype=picture.dtype)
    frequencies = torch.hypot(rows[:, None], columns[None]).clamp_min_(1 / max(height, width))
    gain = (2 * frequencies).pow_(-power)
    for channel in picture[0]:  # one at a time: a third of the room
        spectrum = torch.fft.rfft2(channel).mul_(gain)
        channel.copy_(torch.fft.irfft2(spectrum, s=(height, width)))
    return picture
