"""Shortcuts: faster ways to the same picture, which a device is trusted with until a check says otherwise."""

import importlib.util
from dataclasses import dataclass

import torch

from .devices import fastest_precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcuts:
    """Which of them a device takes."""

    reduced: torch.dtype = torch.float32
    """What recipes of `fastest` precision compute their network in."""
    fused: bool = False
    """Convolution, bias and ReLU in one kernel of the vendor's library."""
    recorded: bool = False
    """A step is recorded once and replayed, on CUDA."""
    own_kernels: bool = False
    """Our own kernels, written in Triton, on CUDA."""

    @classmethod
    def of(cls, device: torch.device) -> "Shortcuts":
        """All that this kind of device is made for."""
        cuda = device.type == "cuda"
        return cls(
            reduced=fastest_precision(device),
            fused=True,
            recorded=cuda,
            own_kernels=cuda and importlib.util.find_spec("triton") is not None,
        )


NO_SHORTCUTS = Shortcuts()
"""Plain kernels in float32, one after the other: what every shortcut is checked against."""
