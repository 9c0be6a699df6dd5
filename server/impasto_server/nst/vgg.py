"""VGG-19's convolutions on one device, with what that device is trusted with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from .shortcuts import NO_SHORTCUTS, Shortcuts
from .unit_mean import estimated_means, original_means
from .unit_mean import unit_mean as scaled_to_unit_mean
from .weights import Convolution, read_convolutions


@dataclass(frozen=True, slots=True, eq=False)
class Vgg:
    """VGG-19's convolutions, frozen, on one device."""

    source: str
    convolutions: Mapping[str, Convolution] = field(repr=False)
    shortcuts: Shortcuts = NO_SHORTCUTS
    """What the device is trusted with."""

    @property
    def device(self) -> torch.device:
        return self.convolutions["conv1_1"].weight.device


def load_vgg(weights: str, device: torch.device, *, unit_mean: bool = True) -> Vgg:
    """VGG-19 from a source that `recipes` names, scaled to unit mean or as published. Raises `WeightsError`."""
    convolutions = read_convolutions(weights)
    if unit_mean:
        means = original_means() if weights == "original" else estimated_means(convolutions)
        convolutions = scaled_to_unit_mean(convolutions, means)
    return Vgg(
        weights,
        {name: convolution.to(device) for name, convolution in convolutions.items()},
        Shortcuts.of(device),
    )
