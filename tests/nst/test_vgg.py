"""Activations by layer name."""

import torch
from torch.nn import functional as F

from impasto_server import nst
from impasto_server.recipes import LAYERS

PICTURE = torch.randn(1, 3, 32, 48, generator=torch.Generator().manual_seed(2))


def test_every_layer_can_be_asked_for_by_its_name(vgg: nst.Vgg) -> None:
    found = vgg.activations(PICTURE, LAYERS, pooling="max", replicate_border=False)
    assert set(found) == set(LAYERS)
    assert found["relu1_2"].shape == (1, 64, 32, 48)
    assert found["conv5_4"].shape == (1, 512, 2, 3)


def test_conv_is_the_map_before_its_relu_and_relu_the_one_after(vgg: nst.Vgg) -> None:
    both = vgg.activations(PICTURE, ["conv3_1", "relu3_1"], pooling="max", replicate_border=False)
    alone = vgg.activations(PICTURE, ["conv3_1"], pooling="max", replicate_border=False)
    assert both["conv3_1"].min() < 0
    assert torch.equal(both["conv3_1"], alone["conv3_1"])
    assert torch.equal(both["relu3_1"], F.relu(both["conv3_1"]))


def test_asking_for_more_layers_changes_none(vgg: nst.Vgg) -> None:
    everything = vgg.activations(PICTURE, LAYERS, pooling="average", replicate_border=True)
    for layer in ("relu1_1", "conv2_2", "relu4_1"):
        alone = vgg.activations(PICTURE, [layer], pooling="average", replicate_border=True)
        assert list(alone) == [layer]
        assert torch.equal(alone[layer], everything[layer])


def test_a_replicated_border_leaves_a_plain_picture_plain(vgg: nst.Vgg) -> None:
    plain = torch.full((1, 3, 16, 16), 0.7)
    for replicate_border in (True, False):
        maps = vgg.activations(plain, ["conv1_1"], pooling="max", replicate_border=replicate_border)["conv1_1"]
        is_plain = torch.allclose(maps, maps[..., 8:9, 8:9].expand_as(maps), atol=1e-5)
        assert is_plain == replicate_border


def test_gradients_reach_the_picture_and_stop_at_the_weights(vgg: nst.Vgg) -> None:
    picture = PICTURE.clone().requires_grad_()
    vgg.activations(picture, ["relu2_1"], pooling="max", replicate_border=True)["relu2_1"].sum().backward()
    assert picture.grad is not None
    assert picture.grad.abs().sum() > 0
    assert not any(convolution.weight.requires_grad for convolution in vgg.convolutions.values())


def test_bfloat16_says_nearly_the_same(vgg: nst.Vgg) -> None:
    exact = vgg.activations(PICTURE, ["relu4_1"], pooling="average", replicate_border=True)["relu4_1"]
    rough = vgg.in_precision(torch.bfloat16).activations(PICTURE, ["relu4_1"], pooling="average", replicate_border=True)
    assert rough["relu4_1"].dtype == torch.float32
    assert (rough["relu4_1"] - exact).norm() < 0.03 * exact.norm()
