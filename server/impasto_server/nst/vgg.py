"""VGG-19's convolutions on one device, and `Network`: what a recipe sees of them, with its gradient by hand.

The weights never learn, so there is nothing here for autograd to do: going back through a frozen convolution is
another convolution, with turned kernels. Going by hand keeps exactly the maps that are looked at again, and each of
them only until it was.
"""

import functools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto_server.recipes import CONVOLUTIONS, LAST_OF_BLOCK, LAYERS, Pooling

from .shortcuts import NO_SHORTCUTS, Shortcuts
from .tiles import Tile, halvings
from .unit_mean import estimated_means, original_means
from .unit_mean import unit_mean as scaled_to_unit_mean
from .weights import Convolution, read_convolutions

Pull = Callable[[str, Tensor], Iterator[tuple[slice, Tensor]]]
"""A layer's own part of the gradient: its name and features (1, C, h, w) to bands of rows, each (1, C, rows, w)."""


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


@dataclass(slots=True, eq=False)
class Maps:
    """What a pass through the network kept: the asked-for features, and rectified maps for the way back."""

    features: dict[str, Tensor]
    rectified: dict[str, Tensor]


class Network:
    """VGG-19 up to the deepest of `layers`, computing in `dtype`.

    `convB_K` is the map before its ReLU, `reluB_K` the rectified one. Around every map lie zeros, or with
    `replicate_border` replicas of its outermost pixels. Average pooling takes a last odd pixel for a pool of its
    own: left out, it would be painted by chance. Max pooling drops it, as the textbook does.
    """

    def __init__(
        self, vgg: Vgg, layers: Collection[str], *, pooling: Pooling, replicate_border: bool, dtype: torch.dtype
    ) -> None:
        self.layers = frozenset(layers)
        self.pooling = pooling
        self.replicate_border = replicate_border
        self.dtype = dtype
        self.device = vgg.device
        self.shortcuts = vgg.shortcuts
        self._fused = vgg.shortcuts.fused
        self._names = CONVOLUTIONS[: _deepest(self.layers) // 2 + 1]
        self._forth, self._back = {}, {}
        for name in self._names:
            weight = vgg.convolutions[name].weight.to(dtype)
            turned = weight.flip(2, 3).transpose(0, 1)
            self._forth[name] = Convolution(_channels_last(weight), vgg.convolutions[name].bias.to(dtype))
            self._back[name] = _channels_last(turned)

    def sides(self, layer: str, height: int, width: int) -> tuple[int, int]:
        """Height and width of a layer's maps of a picture."""
        up = int(self.pooling == "average")
        for _ in range(halvings(layer)):
            height, width = (height + up) // 2, (width + up) // 2
        return height, width

    def bytes_per_pixel(self) -> float:
        """About what a pixel takes on the way forth and back, once the picture is large."""
        kept: float = sum(len(self._forth[name].bias) / 4 ** halvings(name) for name in self._names)
        # Going back through the first block: two gradients, what a convolution makes of them, scratch of its own.
        return self.dtype.itemsize * (kept + 4 * len(self._forth["conv1_1"].bias))

    @torch.no_grad()
    def forward(self, picture: Tensor, *, keep: bool, layers: Collection[str] | None = None) -> Maps:
        """The features (1, C, h, w), in the network's own type, of a normalised picture (1, 3, H, W).

        With `keep` everything that `backward` needs stays, without it nothing but the features. `layers` are some of
        the network's; None: all.
        """
        wanted = self.layers if layers is None else layers
        deepest = _deepest(wanted)
        made = Maps({}, {})
        maps = _channels_last(picture.to(self.dtype))
        if self.replicate_border:
            maps = _bordered(maps)
        for name in self._names:
            relu = name.replace("conv", "relu")
            if deepest == LAYERS.index(name):
                made.features[name] = self._convolved(name, maps)
                return made
            if self.replicate_border or name in wanted:
                raw = self._convolved(name, maps)
                if name in wanted:
                    made.features[name] = raw
                if self.replicate_border and name not in LAST_OF_BLOCK and deepest != LAYERS.index(relu):
                    maps = _bordered(raw, rectify=True)
                    inner = maps[..., 1:-1, 1:-1]
                else:
                    maps = inner = F.relu(raw, inplace=name not in wanted)
                del raw
            else:
                maps = inner = self._convolved_and_rectified(name, maps)
            if relu in wanted:
                made.features[relu] = inner
            if keep:
                made.rectified[name] = inner
            if deepest == LAYERS.index(relu):
                return made
            if name in LAST_OF_BLOCK:
                maps = self._pooled(maps)
                if self.replicate_border:
                    maps = _bordered(maps)
        raise AssertionError("the deepest layer is one of LAYERS")

    @torch.no_grad()
    def backward(self, maps: Maps, pull: Pull, tile: Tile) -> Tensor:
        """The gradient with respect to what the tile sees, (1, 3, H, W); uses up the maps.

        `pull` is asked for each layer's own part, from deep to shallow, where the tile owns it.
        """
        gradient: Tensor | None = None
        for name in reversed(self._names):
            relu = name.replace("conv", "relu")
            if name in maps.rectified:
                rectified = maps.rectified.pop(name)
                if gradient is not None and name in LAST_OF_BLOCK:
                    gradient = self._unpooled(gradient, rectified)
                gradient = self._pulled(relu, maps, gradient, pull, tile)
                torch.ops.aten.threshold_backward.grad_input(gradient, rectified, 0, grad_input=gradient)
                del rectified
            gradient = self._pulled(name, maps, gradient, pull, tile)
            gradient = self._convolved_back(name, gradient)
        assert gradient is not None
        return gradient

    def _pulled(self, layer: str, maps: Maps, gradient: Tensor | None, pull: Pull, tile: Tile) -> Tensor:
        if layer not in self.layers:
            assert gradient is not None
            return gradient
        features = maps.features.pop(layer)
        if gradient is None:
            gradient = torch.zeros_like(features, memory_format=torch.channels_last)
        target = tile.own_part(layer, gradient)
        for rows, part in pull(layer, tile.own_part(layer, features)):
            target[..., rows, :].add_(part.to(target.dtype))  # a sum of two types is many times as slow
        return gradient

    def _convolved(self, name: str, maps: Tensor) -> Tensor:
        convolution = self._forth[name]
        return F.conv2d(maps, convolution.weight, convolution.bias, padding=0 if self.replicate_border else 1)

    def _convolved_and_rectified(self, name: str, maps: Tensor) -> Tensor:
        convolution = self._forth[name]
        if self._fused and (fused := _fused(maps.device, self.dtype)):
            return fused(maps, convolution.weight, convolution.bias)
        return F.conv2d(maps, convolution.weight, convolution.bias, padding=1).relu_()

    def _convolved_back(self, name: str, gradient: Tensor) -> Tensor:
        if not self.replicate_border:
            return F.conv2d(gradient, self._back[name], padding=1)
        whole = F.conv2d(gradient, self._back[name], padding=2)
        # What went to a replica belongs to the pixel it was taken from.
        whole[..., 1, :] += whole[..., 0, :]
        whole[..., -2, :] += whole[..., -1, :]
        whole[..., 1] += whole[..., 0]
        whole[..., -2] += whole[..., -1]
        return whole[..., 1:-1, 1:-1]

    def _pooled(self, maps: Tensor) -> Tensor:
        if self.pooling == "max":
            return F.max_pool2d(maps, 2)
        return F.avg_pool2d(maps, 2, ceil_mode=True, count_include_pad=False)

    def _unpooled(self, gradient: Tensor, before: Tensor) -> Tensor:
        gradient = _channels_last(gradient)
        if self.pooling == "max":
            # Which pixel was the largest is found a second time: kept, the indices would weigh as much as the maps.
            _, indices = torch.ops.aten.max_pool2d_with_indices(before, [2, 2], [2, 2])
            gradient = torch.ops.aten.max_pool2d_with_indices_backward(
                gradient, before, [2, 2], [2, 2], [0, 0], [1, 1], False, indices
            )
        else:
            gradient = torch.ops.aten.avg_pool2d_backward(gradient, before, [2, 2], [2, 2], [0, 0], True, False, None)
        return gradient


def _deepest(layers: Collection[str]) -> int:
    return max(LAYERS.index(layer) for layer in layers)


def _channels_last(maps: Tensor) -> Tensor:
    return maps.contiguous(memory_format=torch.channels_last)


def _bordered(maps: Tensor, *, rectify: bool = False) -> Tensor:
    """One more pixel on each side, a replica of the outermost one; rectified on the way, which costs nothing more."""
    batch, channels, height, width = maps.shape
    wide = torch.empty(
        (batch, channels, height + 2, width + 2),
        dtype=maps.dtype,
        device=maps.device,
        memory_format=torch.channels_last,
    )
    inner = wide[..., 1:-1, 1:-1]
    if rectify:
        torch.clamp_min(maps, 0, out=inner)
    else:
        inner.copy_(maps)
    wide[..., 0, 1:-1] = inner[..., 0, :]
    wide[..., -1, 1:-1] = inner[..., -1, :]
    wide[..., 0] = wide[..., 1]
    wide[..., -1] = wide[..., -2]
    return wide


Fused = Callable[[Tensor, Tensor, Tensor], Tensor]


@functools.cache
def _fused(device: torch.device, dtype: torch.dtype) -> Fused | None:
    """Convolution, bias and ReLU in one kernel, where this build of torch has one for the type."""
    if dtype not in (torch.float32, torch.bfloat16):
        return None
    if device.type == "cpu" and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        pointwise = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
        if pointwise is not None:
            ones = [1, 1]
            return lambda maps, weight, bias: pointwise(maps, weight, bias, ones, ones, ones, 1, "relu", [], "")
    if device.type == "cuda" and torch.backends.cudnn.is_available():  # type: ignore[no-untyped-call]
        one = (1, 1)
        maps = _channels_last(torch.zeros(1, 8, 8, 8, dtype=dtype, device=device))
        weight = _channels_last(torch.zeros(8, 8, 3, 3, dtype=dtype, device=device))
        try:
            torch.cudnn_convolution_relu(maps, weight, weight[:, 0, 0, 0].clone(), one, one, one, 1)
        except RuntimeError:  # not every version has it for every type
            return None
        return lambda maps, weight, bias: torch.cudnn_convolution_relu(maps, weight, bias, one, one, one, 1)
    return None
