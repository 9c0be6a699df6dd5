"""Losses and their gradient: in float16, and what tiles cost."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto_server import nst, recipes
from impasto_server.nst.maps import Maps
from impasto_server.nst.network import Network
from impasto_server.nst.objective import Objective, network_input, objective
from impasto_server.nst.tiled import TiledNetwork
from impasto_server.recipes import RECIPES, Recipe, Scale


def loss_and_gradient(here: Objective, recipe: Recipe, picture: Tensor) -> tuple[Tensor, Tensor]:
    weights = torch.tensor((recipe.content_weight, recipe.style_weight, recipe.tv_weight), dtype=picture.dtype)
    gradient = torch.empty_like(picture)
    return here.loss_and_gradient(picture, weights, gradient), gradient


@pytest.mark.parametrize("share", [1.0, 1e-3, 0.0])
@pytest.mark.parametrize("name", ["painterly", "fast-classic"])
def test_float16_knows_the_way_however_many_pixels_share_it(
    name: str, share: float, vgg: nst.Vgg, content: Tensor, style: Tensor
) -> None:
    """A position of a picture a thousand times as large pulls a thousandth as hard, as with weights a thousandth."""
    recipe, size = RECIPES[name], Scale(48, 64, 1)
    weights = {field: share * getattr(recipe, field) for field in ("content_weight", "style_weight")}
    recipe = replace(recipe, **weights, tv_weight=0.0)
    noise = torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(6))
    picture = network_input(content, recipe, size, vgg.device) + 0.1 * noise
    found = {}
    for dtype in (torch.float32, torch.float16):
        trusted = replace(vgg, shortcuts=replace(vgg.shortcuts, reduced=dtype))
        network = Network.of(recipe, trusted)
        assert network.dtype == dtype
        here = objective(content, [(style, 1.0)], recipe, size, TiledNetwork(network))
        found[dtype] = loss_and_gradient(here, recipe, picture)
    (losses, gradient), (rough_losses, rough) = found.values()
    torch.testing.assert_close(rough_losses, losses, rtol=5e-3, atol=0)
    assert rough.isfinite().all()
    if share:
        assert F.cosine_similarity(rough.flatten(), gradient.flatten(), dim=0) > 0.999
        assert rough.norm() / gradient.norm() == pytest.approx(1, rel=0.01)
    else:
        assert not rough.any()


def test_the_last_tile_of_the_first_pass_is_the_first_of_the_second(
    vgg: nst.Vgg, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, size = recipes.customise("painterly", {"height_px": 40, "width_px": 64}), Scale(40, 64, 1)
    here = objective(content, [(style, 1.0)], recipe, size, TiledNetwork(Network.of(recipe, vgg), 16))
    picture = network_input(content, recipe, size, vgg.device)
    assert len(here.network.pieces(picture)) == 12
    passes, forward = [], Network.forward

    def counting(network: Network, picture: Tensor, **options: Any) -> dict[str, Maps]:
        passes.append(options["keep"])
        return forward(network, picture, **options)

    monkeypatch.setattr(Network, "forward", counting)
    loss_and_gradient(here, recipe, picture)
    assert passes == [False] * 11 + [True] * 12
