"""Tiles: where they lie, and that they change nothing."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from impasto_server import nst, recipes
from impasto_server.nst import memory, tile_sides
from impasto_server.nst.network import Network
from impasto_server.nst.objective import Objective, network_input, objective
from impasto_server.nst.tiled import TiledNetwork
from impasto_server.nst.tiles import largest_side_px, reach_px, tiles
from impasto_server.recipes import RECIPES, Recipe, Scale

from .conftest import photograph, vgg_in

CLASSIC = RECIPES["classic"]


def test_the_reach_of_a_layer_is_counted_from_its_convolutions() -> None:
    assert reach_px(["conv1_1"]) == 1
    assert reach_px(["relu4_1", "relu2_1"]) == 2 + 4 + 16 + 8
    assert reach_px(["conv5_1"]) == 70


@given(height=st.integers(1, 700), width=st.integers(1, 700), side=st.integers(1, 300), reach=st.integers(0, 130))
def test_every_pixel_has_one_owner_that_sees_far_enough(height: int, width: int, side: int, reach: int) -> None:
    owners = torch.zeros(height, width, dtype=torch.int32)
    for tile in tiles(height, width, side, reach):
        owners[tile.own_rows, tile.own_columns] += 1
        for own, seen, length in ((tile.own_rows, tile.rows, height), (tile.own_columns, tile.columns, width)):
            assert own.stop - own.start <= max(side, 16)
            assert seen.start % 16 == 0
            assert seen.start == 0 or seen.start <= own.start - reach
            assert seen.stop == length or (seen.stop >= own.stop + reach and seen.stop % 16 == 0)
    assert (owners == 1).all()


@pytest.mark.parametrize("layers", [["conv1_1"], ["relu4_1"], ["conv5_4"]])
def test_no_tile_has_maps_of_more_numbers_than_kernels_count_with(layers: list[str]) -> None:
    side, halo = largest_side_px(layers), -(-reach_px(layers) // 16) * 16
    for length, fits in ((side, True), (side + 16, False)):
        seen = length + 2 * halo + 2  # a border of replicas on both sides
        assert (64 * seen**2 < 2**31) == fits


@pytest.mark.parametrize(
    ("height", "width", "tile_px", "in_one_piece"),
    [
        (5790, 5791, None, True),  # 64 · 5792 · 5793 numbers, and not a column more
        (5790, 5792, None, False),
        (16384, 2045, None, True),
        (16384, 2047, None, False),
        (16384, 16384, None, False),
        (16384, 16384, 16384, False),
        (9000, 6000, 8192, False),
    ],
)
def test_pieces_are_bounded_whatever_is_asked_for(
    height: int, width: int, tile_px: int | None, in_one_piece: bool, vgg: nst.Vgg
) -> None:
    picture = torch.empty(1, 3, height, width, device="meta")
    network = Network.of(RECIPES["painterly"], vgg)
    pieces = TiledNetwork(network, tile_px).pieces(picture)
    assert (len(pieces) == 1) == in_one_piece
    for tile in pieces:
        seen = [side.stop - side.start + 2 for side in (tile.rows, tile.columns)]
        assert 64 * seen[0] * seen[1] < 2**31


def loss_and_gradient(here: Objective, picture: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
    weights = torch.tensor((recipe.content_weight, recipe.style_weight, recipe.tv_weight), dtype=picture.dtype)
    gradient = torch.empty_like(picture)
    return here.loss_and_gradient(picture, weights, gradient), gradient


CASES = [
    # Odd sides, last tiles of a single row or of less than a pooling, one row of tiles.
    ("classic", 97, 131, 48),
    ("classic", 65, 96, 32),
    ("painterly", 81, 113, 32),
    ("painterly", 49, 160, 64),
]


@pytest.mark.parametrize(("name", "height", "width", "side"), CASES)
@pytest.mark.parametrize(("dtype", "precision"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_tiles_change_neither_losses_nor_gradient(
    name: str, height: int, width: int, side: int, dtype: torch.dtype, precision: float
) -> None:
    vgg = vgg_in(dtype)
    recipe = replace(recipes.customise(name, {"height_px": height, "width_px": width}), precision="exact")
    size = Scale(height, width, 1)
    content, style = photograph("coffee", height, width).to(dtype), photograph("chelsea", 70, 90).to(dtype)
    styles = [(style, 1.0)]
    noise = torch.randn(1, 3, height, width, dtype=dtype, generator=torch.Generator().manual_seed(4))
    picture = network_input(content, recipe, size, vgg.device) + 0.3 * noise
    network = Network.of(recipe, vgg)
    whole, tiled = (
        loss_and_gradient(objective(content, styles, recipe, size, TiledNetwork(network, tile_px)), picture, recipe)
        for tile_px in (None, side)
    )
    torch.testing.assert_close(tiled[0], whole[0], rtol=precision, atol=0)
    assert (tiled[1] - whole[1]).norm() <= precision * whole[1].norm()


def test_the_gradient_is_that_of_the_losses(content: Tensor, style: Tensor) -> None:
    """Along a random direction, by central differences in float64."""
    vgg = vgg_in(torch.float64)
    size = Scale(32, 48, 1)
    for name in ("classic", "painterly"):
        recipe = recipes.customise(name, {"height_px": 32, "width_px": 48})
        network = TiledNetwork(Network.of(recipe, vgg))
        here = objective(content.double(), [(style.double(), 1.0)], recipe, size, network)
        generator = torch.Generator().manual_seed(5)
        noise, way = torch.randn(2, 1, 3, 32, 48, dtype=torch.float64, generator=generator)
        picture = network_input(content.double(), recipe, size, vgg.device) + 0.3 * noise
        _, gradient = loss_and_gradient(here, picture, recipe)
        up, down = (loss_and_gradient(here, picture + step * way, recipe)[0].sum() for step in (1e-6, -1e-6))
        # Newton-Schulz is stopped early: the value lacks a little of what the gradient says.
        precision = 1e-6 if name == "classic" else 5e-2
        assert ((up - down) / 2e-6).item() == pytest.approx((gradient * way).sum().item(), rel=precision)


def test_tiles_are_as_large_as_memory_allows(vgg: nst.Vgg) -> None:
    network = Network.of(CLASSIC, vgg)
    bytes_per_pixel, around = network.bytes_per_pixel(), 160

    def side(height: int, width: int, free: int | None) -> int | None:
        return tile_sides.side_px(Scale(height, width, 1), network, CLASSIC, free)

    assert side(512, 512, 4 * 2**30) is None
    free = int(4 * 900**2 * bytes_per_pixel)  # a CPU gives a quarter
    found = side(4096, 4096, free)
    assert found is not None
    assert found % 16 == 0
    assert 0.9 * free / 4 < (found + around) ** 2 * bytes_per_pixel <= free / 4
    assert side(4096, 4096, 2**50) is None
    assert side(512, 512, 0) == tile_sides.SMALLEST_TILE_PX
    assert side(512, 512, None) is None


def test_a_picture_that_no_kernel_could_index_is_tiled_whatever_is_free(vgg: nst.Vgg) -> None:
    network = Network.of(CLASSIC, vgg)
    for free in (2**60, None):
        assert tile_sides.side_px(Scale(5792, 5792, 1), network, CLASSIC, free) == 1024
        assert tile_sides.side_px(Scale(5760, 5760, 1), network, CLASSIC, free) is None


def test_what_an_optimiser_remembers_leaves_less_room_for_tiles_on_a_gpu(vgg: nst.Vgg) -> None:
    sides = []
    for name in ("classic", "fast-classic"):
        network = Network.of(replace(RECIPES[name], precision="exact"), vgg)
        network.device = torch.device("cuda")
        sides.append(tile_sides.side_px(Scale(4096, 4096, 100), network, RECIPES[name], 9 * 2**30))
    assert sides[0] and sides[1] and 64 < sides[1] < sides[0]


def test_tiles_of_all_scales_are_fixed_when_a_run_begins(
    vgg: nst.Vgg, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever memory is free when the next scale comes, or when the run is taken up again."""
    recipe = replace(recipes.customise("painterly", {"size_px": 128, "steps": 4}), coarsest_px=64)
    free = [tile_sides.free_memory_bytes(vgg.device)]
    monkeypatch.setattr(tile_sides, "free_memory_bytes", lambda _: free[0])
    run = nst.stylize(content, [(style, 1.0)], recipe, vgg=vgg)
    first = next(run)
    checkpoint = first.checkpoint()
    free[0] = 0
    assert [step.tile_px for step in run] == [None] * 3
    assert [step.tile_px for step in nst.stylize(content, [(style, 1.0)], recipe, vgg=vgg, resume=checkpoint)] == [
        None
    ] * 3
    assert next(nst.stylize(content, [(style, 1.0)], recipe, vgg=vgg)).tile_px == tile_sides.SMALLEST_TILE_PX


def test_free_memory_is_told() -> None:
    free = memory.free_memory_bytes(torch.device("cpu"))
    assert free is None or 2**26 < free < 2**50
