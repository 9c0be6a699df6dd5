"""Our own kernels for maps do what torch's do: cases for `test_own_kernels.py`."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from impasto_server.nst import maps as by_torch
from impasto_server.nst.maps import MapKernels, Maps, StylePull
from impasto_server.nst.network import ContentPull, Network, Pull
from impasto_server.nst.shortcuts import Shortcuts
from impasto_server.nst.tiles import tiles
from impasto_server.nst.vgg import Vgg
from impasto_server.nst.weights import Convolution
from impasto_server.recipes import CONVOLUTIONS, Pooling

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CHANNELS = 64
SIDES = [(1, 1), (1, 7), (6, 2), (9, 14)]
PRECISIONS = [(torch.float32, 1e-6), (torch.bfloat16, 8e-3), (torch.float16, 1e-3)]
"""How far from the other's results, in units of the largest: a sum rounded once may be rounded twice elsewhere."""


@pytest.fixture
def own_kernels() -> MapKernels:
    from impasto_server.nst.kernels import maps

    return maps


def random_maps(height: int, width: int, border: int, dtype: torch.dtype, seed: int) -> Maps:
    """With numbers in the border, too."""
    shape = (1, CHANNELS, height + 2 * border, width + 2 * border)
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return Maps(numbers.to(DEVICE, dtype, memory_format=torch.channels_last), border)


def copy(maps: Maps) -> Maps:
    return Maps(maps.whole.clone(), maps.border)


def assert_alike(found: Tensor, expected: Tensor, precision: float) -> None:
    assert found.shape == expected.shape and found.dtype == expected.dtype
    apart = (found.double() - expected.double()).abs().max()
    assert apart <= precision * expected.double().abs().max(), apart


@pytest.mark.parametrize("replicate_border", [True, False])
def test_a_whole_way_forth_and_back_is_the_same(replicate_border: bool) -> None:
    """Of a tile at an odd picture's far corner, with styles on both sides of a pooling, and a content before a ReLU."""
    weights = {name: Convolution(weight.to(DEVICE), bias.to(DEVICE)) for name, weight, bias in narrow_convolutions()}
    picture = torch.randn(1, 3, 37, 51, generator=torch.Generator().manual_seed(7)).to(DEVICE)
    tile = list(tiles(37, 51, 32, 0))[-1]
    found = []
    for own_kernels in (False, True):
        vgg = Vgg("narrow", weights, Shortcuts(own_kernels=own_kernels))
        layers = {"relu1_2", "relu2_1", "conv2_2", "relu3_1"}
        network = Network(vgg, layers, pooling="average", replicate_border=replicate_border, dtype=torch.float32)
        kept = network.forward(picture[..., tile.rows, tile.columns], keep=True)
        pulls = {layer: random_pull(layer, network, picture) for layer in layers}
        found.append(network.backward(kept, pulls, tile))
    (expected, distances), (gradient, own_distances) = found
    torch.testing.assert_close(own_distances, distances, rtol=1e-5, atol=0)
    assert_alike(gradient, expected, 1e-5)


def narrow_convolutions() -> Iterator[tuple[str, Tensor, Tensor]]:
    """With 16 and 32 channels: the interpreter is slow."""
    generator, inputs = torch.Generator().manual_seed(8), 3
    for name in CONVOLUTIONS[:5]:
        outputs = 16 if name[4] == "1" else 32
        yield (
            name,
            torch.randn(outputs, inputs, 3, 3, generator=generator) / inputs,
            torch.randn(outputs, generator=generator) / 8,
        )
        inputs = outputs


def random_pull(layer: str, network: Network, picture: Tensor) -> Pull:
    generator = torch.Generator().manual_seed(len(layer) + int(layer[4]))
    channels = 16 if layer[4] == "1" else 32
    sides = network.sides(layer, *picture.shape[-2:])
    target = torch.randn(1, *sides, channels, generator=generator).permute(0, 3, 1, 2)
    style = StylePull(*(torch.randn(*shape, generator=generator) for shape in ((channels, channels), (channels,))))
    if layer == "conv2_2":
        return Pull(None, ContentPull(target.to(DEVICE), torch.tensor(0.3, device=DEVICE)))
    return Pull(StylePull(style.matrix.to(DEVICE), style.vector.to(DEVICE)), None)


@pytest.mark.parametrize(("height", "width"), SIDES)
def test_the_border_is_rewritten(height: int, width: int, own_kernels: MapKernels) -> None:
    for name in ("clear_", "replicate_"):
        expected = random_maps(height, width, 1, torch.bfloat16, 1)
        found = copy(expected)
        getattr(by_torch, name)(expected)
        getattr(own_kernels, name)(found)
        assert torch.equal(found.whole, expected.whole)


# Triton's interpreter multiplies matrices of bfloat16 as if their bits were integers: those need a GPU.
WITH_STYLE = [
    (*precision, with_style)
    for with_style in (True, False)
    for precision in PRECISIONS
    if DEVICE.type == "cuda" or precision[0] != torch.bfloat16 or not with_style
]


@pytest.mark.parametrize("border", [0, 1])
@pytest.mark.parametrize(("dtype", "precision", "with_style"), WITH_STYLE)
@pytest.mark.parametrize(("height", "width"), SIDES)
def test_the_way_back_through_a_relu(
    height: int,
    width: int,
    dtype: torch.dtype,
    precision: float,
    border: int,
    with_style: bool,
    own_kernels: MapKernels,
) -> None:
    maps, gradient = (random_maps(height, width, border, dtype, seed) for seed in (1, 2))
    style = None
    if with_style:
        matrix, vector = torch.randn(CHANNELS, CHANNELS) / CHANNELS, torch.randn(CHANNELS)
        style = StylePull((matrix + matrix.T).to(DEVICE, dtype), vector.to(DEVICE, dtype))
    for own in (
        (..., slice(0, height), slice(0, width)),
        (..., slice(height // 3, height - height // 4), slice(width // 4, width - width // 3)),
    ):
        expected, found = copy(gradient), copy(gradient)
        by_torch.back_through_relu_(expected, maps, style, own)
        own_kernels.back_through_relu_(found, maps, style, own)
        assert_alike(found.whole, expected.whole, 2 * precision)


# Of a single pixel there is no largest of two by two.
POOLED = [
    (pooling, *sides) for pooling in ("average", "max") for sides in SIDES if pooling == "average" or min(sides) > 1
]


@pytest.mark.parametrize("border", [0, 1])
@pytest.mark.parametrize(("dtype", "precision"), PRECISIONS)
@pytest.mark.parametrize(("pooling", "height", "width"), POOLED)
def test_the_way_back_through_a_pooling(
    height: int,
    width: int,
    dtype: torch.dtype,
    precision: float,
    border: int,
    pooling: Pooling,
    own_kernels: MapKernels,
) -> None:
    maps = random_maps(height, width, border, dtype, 1)
    by_torch.replicate_(maps)
    high, wide = by_torch.pooled(maps, pooling).sides
    gradient = random_maps(high, wide, border, dtype, 2)
    expected = by_torch.back_through_pooling(copy(gradient), maps, pooling)
    found = own_kernels.back_through_pooling(copy(gradient), maps, pooling)
    assert_alike(found.whole, expected.whole, 2 * precision)


@pytest.mark.parametrize(("dtype", "precision"), PRECISIONS)
def test_the_pull_to_a_target(dtype: torch.dtype, precision: float, own_kernels: MapKernels) -> None:
    gradient, features, target = (random_maps(15, 20, 1, dtype, seed).inner for seed in (1, 2, 3))
    gradient, features = gradient[..., 2:9, 4:17], features[..., 2:9, 4:17]
    target, factor = target[..., 8:, :13], torch.tensor(0.3, device=DEVICE)
    expected, found = gradient.clone(), gradient.clone()
    distances = [
        by_torch.pull_to_target_(expected, features, target, factor),
        own_kernels.pull_to_target_(found, features, target, factor),
    ]
    torch.testing.assert_close(distances[1], distances[0], rtol=1e-5, atol=0)
    assert_alike(found, expected, precision)
