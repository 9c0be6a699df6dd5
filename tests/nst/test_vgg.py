"""Activations by layer name, and their gradient."""

from collections.abc import Collection

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto_server import nst
from impasto_server.nst import losses
from impasto_server.nst.maps import Maps, StylePull
from impasto_server.nst.network import ContentPull, Network, Pull
from impasto_server.nst.tiles import tiles
from impasto_server.recipes import CONVOLUTIONS, LAST_OF_BLOCK, LAYERS, Pooling

from .conftest import vgg_in

PICTURE = torch.randn(1, 3, 32, 48, generator=torch.Generator().manual_seed(2))


def features(
    vgg: nst.Vgg,
    picture: Tensor,
    layers: Collection[str],
    *,
    pooling: Pooling = "average",
    replicate_border: bool = True,
    dtype: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    network = Network(vgg, layers, pooling=pooling, replicate_border=replicate_border, dtype=dtype)
    return shown(network, picture)


def shown(network: Network, picture: Tensor) -> dict[str, Tensor]:
    found = {}

    def see(layer: str, maps: Maps) -> None:
        found[layer] = maps.inner.clone()

    network.forward(picture, keep=False, see=see)
    return found


@pytest.mark.parametrize("replicate_border", [True, False])
def test_every_layer_can_be_asked_for_by_its_name(vgg: nst.Vgg, replicate_border: bool) -> None:
    found = features(vgg, PICTURE, LAYERS, pooling="max", replicate_border=replicate_border)
    assert set(found) == set(LAYERS)
    assert found["relu1_2"].shape == (1, 64, 32, 48)
    assert found["conv5_4"].shape == (1, 512, 2, 3)


@pytest.mark.parametrize("replicate_border", [True, False])
def test_conv_is_the_map_before_its_relu_and_relu_the_one_after(vgg: nst.Vgg, replicate_border: bool) -> None:
    both = features(vgg, PICTURE, ["conv3_1", "relu3_1"], replicate_border=replicate_border)
    alone = features(vgg, PICTURE, ["conv3_1"], replicate_border=replicate_border)
    assert both["conv3_1"].min() < 0
    assert torch.equal(both["conv3_1"], alone["conv3_1"])
    assert torch.equal(both["relu3_1"], F.relu(both["conv3_1"]))


@pytest.mark.parametrize("replicate_border", [True, False])
def test_asking_for_more_layers_changes_none(vgg: nst.Vgg, replicate_border: bool) -> None:
    everything = features(vgg, PICTURE, LAYERS, replicate_border=replicate_border)
    for layer in ("relu1_1", "conv2_2", "relu4_1"):
        alone = features(vgg, PICTURE, [layer], replicate_border=replicate_border)
        assert list(alone) == [layer]
        torch.testing.assert_close(alone[layer], everything[layer], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer", ["conv1_1", "relu4_1"])
@pytest.mark.parametrize("replicate_border", [True, False])
def test_a_replicated_border_leaves_a_plain_picture_plain(vgg: nst.Vgg, layer: str, replicate_border: bool) -> None:
    plain = torch.full((1, 3, 40, 40), 0.7)
    maps = features(vgg, plain, [layer], replicate_border=replicate_border)[layer]
    assert torch.allclose(maps, maps[..., 2:3, 2:3].expand_as(maps), atol=1e-4) == replicate_border


@pytest.mark.parametrize(("pooling", "sides"), [("average", (5, 7)), ("max", (4, 6))])
def test_average_pooling_keeps_the_last_pixels_of_odd_sides(
    vgg: nst.Vgg, pooling: Pooling, sides: tuple[int, int]
) -> None:
    network = Network(vgg, ["relu4_1"], pooling=pooling, replicate_border=True, dtype=torch.float32)
    maps = shown(network, torch.zeros(1, 3, 33, 49))["relu4_1"]
    assert maps.shape == (1, 512, *sides)
    assert network.sides("relu4_1", 33, 49) == sides


@pytest.fixture(scope="module")
def exact_vgg() -> nst.Vgg:
    """In float64: the gradients below must agree to its digits."""
    return vgg_in(torch.float64)


def plainly(vgg: nst.Vgg, picture: Tensor, *, pooling: Pooling, replicate_border: bool) -> dict[str, Tensor]:
    """The network once more, as anyone would write it, for autograd to differentiate."""
    found, maps = {}, picture
    for name in CONVOLUTIONS:
        convolution = vgg.convolutions[name]
        wide = F.pad(maps, (1, 1, 1, 1), mode="replicate" if replicate_border else "constant")
        found[name] = F.conv2d(wide, convolution.weight, convolution.bias)
        found[name.replace("conv", "relu")] = maps = F.relu(found[name])
        if name in LAST_OF_BLOCK and pooling == "max":
            maps = F.max_pool2d(maps, 2)
        elif name in LAST_OF_BLOCK:
            maps = F.avg_pool2d(maps, 2, ceil_mode=True, count_include_pad=False)
    return found


@pytest.mark.parametrize("layers", [["relu3_1"], ["conv2_2", "relu1_1", "relu2_2"], ["relu4_1", "conv5_1"]])
@pytest.mark.parametrize("replicate_border", [True, False])
@pytest.mark.parametrize("pooling", ["average", "max"])
def test_the_way_back_is_the_gradient_that_autograd_finds(
    layers: list[str], replicate_border: bool, pooling: Pooling, exact_vgg: nst.Vgg
) -> None:
    picture = torch.randn(1, 3, 33, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    options = {"pooling": pooling, "replicate_border": replicate_border}
    network = Network(exact_vgg, layers, dtype=torch.float64, **options)
    kept = network.forward(picture, keep=True)
    found = {layer: kept[layer].inner for layer in layers}
    expected = plainly(exact_vgg, picture.requires_grad_(), **options)
    loss, pulls, distances = torch.zeros(()), {}, {}
    for number, layer in enumerate(layers):
        torch.testing.assert_close(found[layer], expected[layer])
        target, factor = torch.randn_like(found[layer]), torch.tensor(0.5 + number, dtype=torch.float64)
        matrix = torch.randn(found[layer].shape[1], found[layer].shape[1]).double()
        matrix, vector = matrix + matrix.T, matrix[0]
        pulls[layer] = Pull(StylePull(matrix, vector), ContentPull(target, factor))
        positions = losses.as_rows(expected[layer])
        distances[layer] = (expected[layer] - target).square().sum()
        loss = loss + factor / 2 * distances[layer] + ((positions @ matrix / 2 + vector) * positions).sum()
    (autograd,) = torch.autograd.grad(loss, picture)
    (whole,) = tiles(33, 50, 50, 0)
    gradient, squared = network.backward(kept, pulls, whole)
    torch.testing.assert_close(gradient, autograd, rtol=1e-10, atol=1e-12 * float(autograd.abs().max()))
    torch.testing.assert_close(squared, distances)
    assert not kept


def test_bfloat16_says_nearly_the_same(vgg: nst.Vgg) -> None:
    exact = features(vgg, PICTURE, ["relu4_1"])["relu4_1"]
    rough = features(vgg, PICTURE, ["relu4_1"], dtype=torch.bfloat16)["relu4_1"]
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - exact).norm() < 0.03 * exact.norm()
