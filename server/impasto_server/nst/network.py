"""`Network`: VGG-19 as a recipe sees it, from a picture forth to its features and by hand back to the gradient.

The weights never learn, so there is nothing here for autograd to do: going back through a frozen convolution is
another convolution, with turned kernels. Going by hand keeps exactly the maps that are looked at again, and each of
them only until it was.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto_server.recipes import CONVOLUTIONS, LAST_OF_BLOCK, LAYERS, Pooling, Recipe

from . import maps as map_kernels
from .convolution import convolved, convolved_and_rectified
from .maps import MapKernels, Maps, StylePull
from .tiles import Tile, halvings
from .vgg import Vgg
from .weights import Convolution

See = Callable[[str, Maps], None]
"""Is shown a layer's features, with zeros in their border, before the next layer is made."""


@dataclass(frozen=True, slots=True, eq=False)
class ContentPull:
    """A content's part of the gradient at a layer: `factor` (features - `target`), with (1, C, h, w) of the whole
    picture.
    """

    target: Tensor
    factor: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Pull:
    """A layer's own part of the gradient."""

    style: StylePull | None
    content: ContentPull | None


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
        self.dtype = dtype
        self.device = vgg.device
        # Zeros are what a convolution pads with anyway. Replicas need a border of the maps' own.
        self._border = int(replicate_border)
        self.shortcuts = vgg.shortcuts
        self._kernels = _kernels(vgg, dtype)
        self._names = CONVOLUTIONS[: _deepest(self.layers) // 2 + 1]
        self._forth, self._back = {}, {}
        for name in self._names:
            weight = vgg.convolutions[name].weight.to(dtype)
            turned = weight.flip(2, 3).transpose(0, 1)
            self._forth[name] = Convolution(_channels_last(weight), vgg.convolutions[name].bias.to(dtype))
            self._back[name] = _channels_last(turned)

    @classmethod
    def of(cls, recipe: Recipe, vgg: Vgg) -> "Network":
        """As far as a recipe looks, and as precisely. Float64 is nobody's choice but a test's, which wants it exact."""
        own = vgg.convolutions["conv1_1"].weight.dtype
        reduced = recipe.precision == "fastest" and own != torch.float64
        return cls(
            vgg,
            {*recipe.content_layers, *recipe.style_layers},
            pooling=recipe.pooling,
            # Zeros around a picture are a frame that the painting would answer with one of its own.
            replicate_border=recipe.objective == "relative",
            dtype=vgg.shortcuts.reduced if reduced else own,
        )

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
    def forward(
        self, picture: Tensor, *, keep: bool, see: See | None = None, layers: Collection[str] | None = None
    ) -> dict[str, Maps]:
        """Shows the features, in the network's own type, of a normalised picture (1, 3, H, W), shallow to deep.

        `layers` are some of the network's; None: all. With `keep` everything that `backward` needs is returned, by
        layer, without it nothing.
        """
        wanted = self.layers if layers is None else frozenset(layers)
        deepest = LAYERS[_deepest(wanted)]
        kept = {}
        for layer, maps in self._passed(picture, wanted):
            if see and layer in wanted:
                self._kernels.clear_(maps)
                see(layer, maps)
            if keep:
                kept[layer] = maps
            if layer == deepest:
                break
            del maps  # or else they lie beside the next ones until those are made
        return kept

    @torch.no_grad()
    def backward(
        self, kept: dict[str, Maps], pulls: Mapping[str, Pull], tile: Tile
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The gradient with respect to what the tile sees, (1, 3, H, W), and squared distances to targets, by layer.

        Each layer pulls where the tile owns it. Uses up what `forward` kept.
        """
        gradient: Maps | None = None
        distances = {}
        for name in reversed(self._names):
            relu = _relu(name)
            if relu in kept:
                maps, pull = kept.pop(relu), pulls.get(relu, _NO_PULL)
                if gradient and name in LAST_OF_BLOCK:
                    gradient = self._kernels.back_through_pooling(gradient, maps, self.pooling)
                gradient = gradient or _zeros_like(maps)
                own = tile.own_block(relu, *maps.sides)
                if pull.content:
                    distances[relu] = self._pull_to_target_(relu, gradient, maps, pull.content, tile)
                if pull is not _NO_PULL or name not in LAST_OF_BLOCK:
                    self._kernels.back_through_relu_(gradient, maps, pull.style, own)
                del maps
            if name in kept:
                maps, pull = kept.pop(name), pulls.get(name, _NO_PULL)
                gradient = gradient or _zeros_like(maps)
                own = tile.own_block(name, *maps.sides)
                if pull.content:
                    distances[name] = self._pull_to_target_(name, gradient, maps, pull.content, tile)
                if pull.style:
                    map_kernels.pull_by_style_(gradient, maps, pull.style, own)
                    self._kernels.clear_(gradient)
                del maps
            assert gradient
            gradient = Maps(convolved(gradient.whole, self._back[name]), self._border)
        assert gradient
        map_kernels.fold_(gradient)
        return gradient.inner, distances

    def _passed(self, picture: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Maps]]:
        """Maps by layer, from shallow to deep, with anything in their border: those before a ReLU where wanted, and all
        rectified ones.
        """
        maps = self._entered(picture)
        for name in self._names:
            convolution = self._forth[name]
            if name in wanted:
                raw = Maps(convolved(maps.whole, convolution.weight, convolution.bias), self._border)
                yield name, raw
                maps = Maps(F.relu(raw.whole), self._border)
                del raw
            else:
                maps = Maps(self._convolved_and_rectified(maps.whole, convolution), self._border)
            yield _relu(name), maps
            if name in LAST_OF_BLOCK:
                if any(side % 2 for side in maps.sides):
                    self._kernels.replicate_(maps)
                maps = map_kernels.pooled(maps, self.pooling)
            self._kernels.replicate_(maps)

    def _entered(self, picture: Tensor) -> Maps:
        height, width = (side + 2 * self._border for side in picture.shape[-2:])
        whole = torch.empty(
            (1, 3, height, width), dtype=self.dtype, device=self.device, memory_format=torch.channels_last
        )
        maps = Maps(whole, self._border)
        maps.inner.copy_(picture)
        self._kernels.replicate_(maps)
        return maps

    def _convolved_and_rectified(self, maps: Tensor, convolution: Convolution) -> Tensor:
        if self.shortcuts.fused:
            return convolved_and_rectified(maps, convolution.weight, convolution.bias)
        return convolved(maps, convolution.weight, convolution.bias).relu_()

    def _pull_to_target_(self, layer: str, gradient: Maps, maps: Maps, content: ContentPull, tile: Tile) -> Tensor:
        own = tile.own_block(layer, *maps.sides)
        target = tile.part_of_whole(layer, content.target)
        return self._kernels.pull_to_target_(gradient.inner[own], maps.inner[own], target, content.factor)


_NO_PULL = Pull(None, None)


def _kernels(vgg: Vgg, dtype: torch.dtype) -> MapKernels:
    if vgg.shortcuts.own_kernels and dtype != torch.float64:  # they add up in float32
        from .kernels import maps  # needs Triton, which isn't everywhere

        return maps
    return map_kernels


def _zeros_like(maps: Maps) -> Maps:
    return Maps(torch.zeros_like(maps.whole), maps.border)


def _relu(name: str) -> str:
    return name.replace("conv", "relu")


def _deepest(layers: Collection[str]) -> int:
    return max(LAYERS.index(layer) for layer in layers)


def _channels_last(maps: Tensor) -> Tensor:
    return maps.contiguous(memory_format=torch.channels_last)
