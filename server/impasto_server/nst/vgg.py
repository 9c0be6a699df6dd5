"""VGG-19 as a function from a picture to its activations by layer name."""

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto_server.recipes import LAST_OF_BLOCK, LAYERS, Pooling

from .unit_mean import estimated_means, original_means, unit_mean
from .weights import Convolution, read_convolutions


@dataclass(frozen=True, slots=True, eq=False)
class Vgg:
    """VGG-19's convolutions, frozen, channels last, on one device."""

    source: str
    convolutions: Mapping[str, Convolution] = field(repr=False)

    @property
    def device(self) -> torch.device:
        return self.convolutions["conv1_1"].weight.device

    def in_precision(self, dtype: torch.dtype) -> "Vgg":
        """The same network computing in another floating point type."""
        return Vgg(self.source, {name: convolution.to(dtype) for name, convolution in self.convolutions.items()})

    def activations(
        self, picture: Tensor, layers: Collection[str], *, pooling: Pooling, replicate_border: bool
    ) -> dict[str, Tensor]:
        """The named layers' activations, (1, channels, height, width) each, of a normalised RGB picture (1, 3, H, W),
        in the picture's own floating point type.

        `convB_K` is the map before its ReLU, `reluB_K` the rectified one. Nothing deeper than the deepest of them
        is computed. Around every map lie zeros, or replicas of its border.
        """
        wanted = set(layers)
        deepest = max(LAYERS.index(layer) for layer in wanted)
        found: dict[str, Tensor] = {}
        dtype = self.convolutions["conv1_1"].weight.dtype
        maps = picture.to(dtype).contiguous(memory_format=torch.channels_last)
        for name, convolution in self.convolutions.items():
            padding = 1
            if replicate_border:
                maps, padding = _replicated(maps), 0
            maps = F.conv2d(maps, convolution.weight, convolution.bias, padding=padding)
            if name in wanted:
                found[name] = maps.to(picture.dtype)
            rectified = name.replace("conv", "relu")
            if LAYERS.index(rectified) > deepest:
                break
            maps = F.relu(maps, inplace=name not in wanted)
            if rectified in wanted:
                found[rectified] = maps.to(picture.dtype)
            if LAYERS.index(rectified) == deepest:
                break
            if name in LAST_OF_BLOCK:
                maps = _POOLINGS[pooling](maps)
        return found


def load_vgg(weights: str, device: torch.device) -> Vgg:
    """VGG-19 with unit-mean weights from a source that `recipes` names. Raises `WeightsError`."""
    convolutions = read_convolutions(weights)
    means = original_means() if weights == "original" else estimated_means(convolutions)
    return Vgg(
        weights,
        {
            name: Convolution(scaled.weight.contiguous(memory_format=torch.channels_last), scaled.bias).to(device)
            for name, scaled in unit_mean(convolutions, means).items()
        },
    )


def _replicated(maps: Tensor) -> Tensor:
    """One more pixel on each side. F.pad's backward pass is not deterministic on CUDA; this one is."""
    maps = torch.cat((maps[:, :, :1], maps, maps[:, :, -1:]), dim=2)
    return torch.cat((maps[..., :1], maps, maps[..., -1:]), dim=3)


_POOLINGS = {
    "max": functools.partial(F.max_pool2d, kernel_size=2),
    # Of an odd side, the last pixel makes a pool of its own: left out, it would be painted by chance.
    "average": functools.partial(F.avg_pool2d, kernel_size=2, ceil_mode=True, count_include_pad=False),
}
