"""Runs: their steps, steering, and taking them up again."""

import itertools
import json
import math
import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto_server import nst, recipes
from impasto_server.nst.adam import Adam
from impasto_server.nst.maps import Maps
from impasto_server.nst.network import Network
from impasto_server.nst.state import State
from impasto_server.recipes import RECIPES, Recipe

from .conftest import photograph

Run = Generator[nst.Step, nst.Steering | None, None]

# Two scales at a size where a run takes a second.
SMALL = replace(recipes.customise("painterly", {"size_px": 64, "steps": 7}), coarsest_px=32)


@dataclass(frozen=True)
class Seen:
    """What a step showed when it had been made."""

    step: nst.Step
    losses: nst.Losses
    image: Tensor
    checkpoint: nst.Checkpoint


def paint(content: Tensor, style: Tensor, recipe: Recipe, vgg: nst.Vgg, **options: Any) -> list[Seen]:
    return steered(nst.stylize(content, [(style, 1.0)], recipe, vgg=vgg, **options), {})


def steered(run: Run, by: dict[int, nst.Steering]) -> list[Seen]:
    """All steps of a run, with a message sent after some of them."""
    seen = []
    try:
        step = next(run)
        while True:
            seen.append(Seen(step, step.losses(), step.image(), step.checkpoint()))
            step = run.send(by.get(step.step))
    except StopIteration:
        return seen


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_lowers_its_losses(name: str, vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    steps = paint(content, style, recipes.customise(name, {"size_px": 64, "steps": 12}), vgg)
    assert steps[-1].losses.total < 0.8 * steps[0].losses.total
    assert steps[-1].image.shape == (43, 64, 3)


def test_a_run_follows_its_plan(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    seen = paint(content, style, SMALL, vgg)
    steps = [each.step for each in seen]
    plan = recipes.plan(SMALL, 80, 120)
    assert len(plan) == 2
    assert [(s.scale, s.height_px, s.width_px) for s in steps] == [
        (number, scale.height_px, scale.width_px) for number, scale in enumerate(plan, 1) for _ in range(scale.steps)
    ]
    assert [s.step for s in steps] == list(range(1, 8))
    assert {(s.scales, s.steps) for s in steps} == {(2, 7)}
    for each in seen:
        assert each.image.shape == (each.step.height_px, each.step.width_px, 3)
        assert each.image.dtype == torch.uint8


def test_the_first_step_already_shows_the_content(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    first = next(nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg))
    shown = first.image().float().permute(2, 0, 1)
    photo = photograph("coffee", first.height_px, first.width_px)
    together = torch.corrcoef(torch.stack((shown.mean(0).flatten(), photo.mean(0).flatten())))
    assert together[0, 1] > 0.9


def test_what_is_taken_from_a_step_stays(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    run = nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg)
    first = next(run)
    image, losses, look, checkpoint = first.image(), first.losses(), first.look(1000), first.checkpoint()
    tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
    list(run)
    assert torch.equal(look.image(), image)
    assert first.losses() == losses
    assert all(torch.equal(checkpoint.tensors[name], tensor) for name, tensor in tensors.items())


def test_a_look_is_no_larger_than_it_need_be(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    recipe = replace(SMALL, coarsest_px=None, steps=1)
    (seen,) = paint(content, style, recipe, vgg)
    for wish, sides in ((16, (10, 16, 3)), (20, (14, 21, 3)), (33, (43, 64, 3)), (64, (43, 64, 3))):
        assert seen.step.look(wish).image().shape == sides
    small = seen.step.look(16).image().float()
    blocks = seen.image[:40].float().unfold(0, 4, 4).unfold(1, 4, 4).mean((-2, -1))
    assert (small - blocks).abs().max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
def test_rows_are_the_picture_in_as_many_tones_as_asked_for(
    bits: int, vgg: nst.Vgg, content: Tensor, style: Tensor
) -> None:
    (seen,) = paint(content, style, replace(SMALL, coarsest_px=None, steps=1), vgg)
    rows = torch.cat([band.to(torch.int32) for band in seen.step.rows(bits)])
    assert torch.equal(rows, torch.cat([band.to(torch.int32) for band in nst.rows(seen.checkpoint, SMALL, bits)]))
    if bits == 8:
        assert torch.equal(rows, seen.image.int())
    else:
        assert ((rows / 257).round().int() - seen.image.int()).abs().max() <= 1
        assert len(rows.unique()) > 256


def test_the_same_inputs_give_the_same_picture(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    once, again = (paint(content, style, SMALL, vgg)[-1].image for _ in range(2))
    assert torch.equal(once, again)


def test_the_seed_decides_the_noise(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    noisy = replace(SMALL, initial_image="noise", steps=2)
    zero, again, one = (paint(content, style, replace(noisy, seed=seed), vgg)[-1].image for seed in (0, 0, 1))
    assert torch.equal(zero, again)
    assert not torch.equal(zero, one)


def test_weights_of_styles_are_taken_in_proportion(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    other = photograph("rocket", 60, 90)
    recipe = replace(SMALL, steps=2)

    def last(*styles: tuple[Tensor, float]) -> Tensor:
        return steered(nst.stylize(content, styles, recipe, vgg=vgg), {})[-1].image

    assert torch.equal(last((style, 1), (other, 3)), last((style, 0.5), (other, 1.5)))
    assert not torch.equal(last((style, 1), (other, 3)), last((style, 1), (other, 1)))


def test_steering_changes_the_next_step_and_only_what_it_names(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    plain = [step.losses for step in paint(content, style, SMALL, vgg)]
    run = nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg)
    seen = [step.losses for step in steered(run, {3: nst.Steering(style_weight=3 * SMALL.style_weight)})]
    assert seen[:3] == plain[:3]
    assert seen[3].style == pytest.approx(3 * plain[3].style)
    assert (seen[3].content, seen[3].tv) == (plain[3].content, plain[3].tv)
    assert seen[4].content != plain[4].content


@pytest.mark.parametrize("cut", [1, 3, 4, 6])
def test_a_resumed_run_ends_in_the_same_bytes(cut: int, vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    """Cut at the beginning, inside the coarse scale, at its end, and inside the fine one."""
    assert [scale.steps for scale in recipes.plan(SMALL, 80, 120)] == [4, 3]
    whole = paint(content, style, SMALL, vgg)
    checkpoint = whole[cut - 1].checkpoint
    carried = nst.Checkpoint(checkpoint.tensors, json.loads(json.dumps(checkpoint.meta)))
    rest = paint(content, style, SMALL, vgg, resume=carried)
    assert [each.step.step for each in rest] == list(range(cut + 1, 8))
    assert torch.equal(rest[-1].image, whole[-1].image)
    assert rest[-1].losses == whole[-1].losses


def test_a_resumed_classic_run_ends_in_the_same_bytes(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    recipe = recipes.customise("classic", {"size_px": 48, "steps": 5, "decay_every_steps": 2})
    whole = paint(content, style, recipe, vgg)
    rest = paint(content, style, recipe, vgg, resume=whole[2].checkpoint)
    assert torch.equal(rest[-1].image, whole[-1].image)


def test_a_steered_run_is_resumed_with_the_weights_it_had(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    messages = {2: nst.Steering(content_weight=0.0, tv_weight=3.0), 6: nst.Steering(style_weight=1.0)}
    whole = steered(nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg), messages)
    for cut in (3, 5):
        checkpoint = whole[cut - 1].checkpoint
        rest = steered(nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg, resume=checkpoint), messages)
        assert torch.equal(rest[-1].image, whole[-1].image)


def test_resuming_after_the_last_step_has_nothing_to_do(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    end = paint(content, style, SMALL, vgg)[-1].checkpoint
    assert list(nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg, resume=end)) == []


def test_another_run_s_checkpoint_is_refused(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    checkpoint = next(nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg)).checkpoint()
    longer = replace(SMALL, steps=8)
    with pytest.raises(nst.CheckpointError, match="made with another recipe"):
        next(nst.stylize(content, [(style, 1.0)], longer, vgg=vgg, resume=checkpoint))
    with pytest.raises(nst.CheckpointError, match=r"this content is painted at \(1, 3, 32, 32\) in that scale"):
        next(nst.stylize(content[..., :80], [(style, 1.0)], SMALL, vgg=vgg, resume=checkpoint))


def test_a_checkpoint_of_a_version_that_painted_otherwise_is_refused(
    vgg: nst.Vgg, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = next(nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg)).checkpoint()
    nst.check_recipe(checkpoint, SMALL)
    monkeypatch.setattr("impasto_server.nst.checkpoint._REVISION", 99)
    with pytest.raises(nst.CheckpointError, match="made with another recipe"):
        nst.check_recipe(checkpoint, SMALL)


@pytest.mark.parametrize(
    ("content", "styles", "message"),
    [
        (torch.zeros(3, 8, 8), [], "There is no style; expected at least one (image, weight)."),
        (torch.zeros(8, 8, 3), [(torch.zeros(3, 8, 8), 1)], "content is (8, 8, 3) torch.float32; expected"),
        (torch.zeros(3, 8, 8).int(), [(torch.zeros(3, 8, 8), 1)], "content is (3, 8, 8) torch.int32; expected"),
        (torch.zeros(3, 8, 8), [(torch.zeros(4, 8, 8), 1)], "style 1 is (4, 8, 8) torch.float32; expected"),
        (
            torch.zeros(3, 8, 8),
            [(torch.zeros(3, 8, 8), -1)],
            "The styles' weights are [-1]; expected finite numbers",
        ),
        (
            torch.zeros(3, 8, 8),
            [(torch.zeros(3, 8, 8), 0)],
            "The styles' weights are [0]; expected finite numbers",
        ),
        (
            torch.zeros(3, 8, 8),
            [(torch.zeros(3, 8, 8), float("nan"))],
            "The styles' weights are [nan]; expected",
        ),
    ],
)
def test_what_cannot_be_painted_is_refused_before_the_first_step(
    vgg: nst.Vgg, content: Tensor, styles: list[tuple[Tensor, float]], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        nst.stylize(content, styles, SMALL, vgg=vgg)


@pytest.mark.parametrize("name", list(RECIPES))
def test_plain_pictures_are_painted_without_nan(name: str, vgg: nst.Vgg) -> None:
    recipe = recipes.customise(name, {"size_px": 32, "steps": 3})
    black, white = torch.zeros(3, 20, 40), torch.ones(3, 30, 20)
    assert all(math.isfinite(seen.losses.total) for seen in paint(black, white, recipe, vgg))


def test_taking_adam_s_moments_to_a_finer_scale_lets_no_pixel_leap() -> None:
    """first² ≤ second holds for moments of the same gradients; where it fails, a single step leaves an isolated dot."""
    gradient = torch.randn(1, 3, 12, 18, generator=torch.Generator().manual_seed(1)) ** 5
    zero = torch.zeros_like(gradient)
    coarse = State(0, 9, 9, zero, Adam(gradient, gradient.square()))
    fine = coarse.at_next_scale(recipes.Scale(24, 36, 5), SMALL).optimiser
    assert isinstance(fine, Adam)
    assert (fine.first.square() <= fine.second * 1.001).all()
    # Four times as many pixels share the same mean.
    assert fine.first.abs().max() <= gradient.abs().max() / 4


def test_bytes_are_the_same_picture_as_floats(vgg: nst.Vgg) -> None:
    # As a decoder leaves them: colours beside each other.
    content, style = (torch.randint(0, 256, (40, 64, 3)).to(torch.uint8).permute(2, 0, 1) for _ in range(2))
    recipe = replace(SMALL, coarsest_px=None, steps=2)
    of_bytes, of_floats = paint(content, style, recipe, vgg)[-1], paint(content / 255, style / 255, recipe, vgg)[-1]
    assert torch.equal(of_bytes.image, of_floats.image)
    assert all(tensor.is_contiguous() for tensor in of_bytes.checkpoint.tensors.values())


@pytest.mark.parametrize("name", ["painterly", "classic"])
def test_a_run_in_tiles_paints_what_a_whole_one_does(name: str, vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    recipe = replace(recipes.customise(name, {"height_px": 100, "width_px": 150, "steps": 3}), precision="exact")
    recipe = recipe.at_one_scale()
    whole = paint(content, style, recipe, vgg)
    tiled = paint(content, style, replace(recipe, tile_px=64), vgg)
    assert [each.step.tile_px for each in tiled] == [64] * 3
    assert tiled[0].losses.total == pytest.approx(whole[0].losses.total, rel=1e-5)
    assert (tiled[0].image.int() - whole[0].image.int()).abs().float().mean() < 0.05


def test_a_run_that_is_out_of_memory_goes_on_in_smaller_tiles(
    vgg: nst.Vgg, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device with room for 140 × 140 pixels: the network is real, its allocator is told to refuse."""
    forward = Network.forward

    def refusing(network: Network, picture: Tensor, **options: Any) -> dict[str, Maps]:
        if picture.shape[-1] * picture.shape[-2] > 140 * 140:
            raise torch.OutOfMemoryError("no room")
        return forward(network, picture, **options)

    monkeypatch.setattr(Network, "forward", refusing)
    recipe = replace(SMALL, size_px=200, coarsest_px=100, steps=5)
    seen = paint(content, style, recipe, vgg)
    assert [each.step.step for each in seen] == [1, 2, 3, 4, 5]
    assert [each.step.ran_out_of_memory for each in seen] == [False] * 3 + [True, False]
    assert [each.step.tile_px for each in seen] == [None] * 3 + [112, 112]


def test_a_device_without_room_for_the_smallest_tile_says_so(
    vgg: nst.Vgg, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(network: Network, picture: Tensor, **options: Any) -> dict[str, Maps]:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(Network, "forward", refusing)
    with pytest.raises(torch.OutOfMemoryError):
        paint(content, style, SMALL, vgg)


def test_a_resumed_run_keeps_its_tiles(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    """Free memory differs from hour to hour, the picture must not."""
    whole = paint(content, style, SMALL, vgg, tile_px=32)
    rest = paint(content, style, SMALL, vgg, resume=whole[5].checkpoint)
    assert rest[0].step.tile_px == 32
    assert torch.equal(rest[-1].image, whole[-1].image)


def test_fast_classic_gets_much_lower_than_classic_in_the_same_steps(
    vgg: nst.Vgg, content: Tensor, style: Tensor
) -> None:
    classic = recipes.customise("classic", {"size_px": 96, "steps": 40, "decay_every_steps": 4})
    fast = replace(recipes.customise("fast-classic", {"size_px": 96, "steps": 40}), precision="exact")
    ends = [paint(content, style, recipe, vgg)[-1].losses.total for recipe in (classic, fast)]
    assert ends[1] < 0.8 * ends[0], ends


def test_reduced_precision_ends_within_a_hundredth_of_float32(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    """Also where the processor has no fast bfloat16: slow, but the same numbers."""
    vgg = replace(vgg, shortcuts=replace(vgg.shortcuts, reduced=torch.bfloat16))
    for name in ("fast-classic", "painterly"):
        recipe = recipes.customise(name, {"size_px": 96, "steps": 120})  # shorter runs have not settled
        ends = {}
        for precision in ("exact", "fastest"):
            end = paint(content, style, replace(recipe, precision=precision), vgg)[-1].checkpoint
            # Both seen by the exact network: one step more, whose losses are of what it began with.
            one_more = replace(recipe, precision="exact", steps=1, coarsest_px=None)
            (seen,) = paint(content, style, one_more, vgg, begin_from=end)
            ends[precision] = seen.losses.total
        assert ends["fastest"] == pytest.approx(ends["exact"], rel=0.01), name


SETTLING = replace(recipes.customise("fast-classic", {"size_px": 48}), settled_share=0.05, settled_over_steps=5)


def test_a_run_ends_when_it_has_settled_and_says_about_when_that_will_be(
    vgg: nst.Vgg, content: Tensor, style: Tensor
) -> None:
    seen = paint(content, style, SETTLING, vgg)
    assert 10 < len(seen) < 100
    assert seen[0].step.steps == SETTLING.steps
    assert seen[-1].step.step == seen[-1].step.steps == len(seen)
    totals = [each.losses.total for each in seen]
    # The latest losses are still on their way when it is decided.
    means = [sum(totals[end - 5 : end]) / 5 for end in (len(seen) - 1, len(seen) - 6)]
    assert abs(means[0] - means[1]) <= 0.05 * means[1]
    endless = nst.stylize(content, [(style, 1.0)], replace(SETTLING, settled_share=None), vgg=vgg)
    *_, same = itertools.islice(endless, len(seen))
    assert torch.equal(same.image(), seen[-1].image)


def test_a_run_settles_at_the_same_step_wherever_it_is_taken_up(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    whole = paint(content, style, SETTLING, vgg)
    for cut in (1, 4, len(whole) // 2, len(whole) - 1):
        rest = paint(content, style, SETTLING, vgg, resume=whole[cut - 1].checkpoint)
        assert len(rest) == len(whole) - cut
        assert torch.equal(rest[-1].image, whole[-1].image)
    assert paint(content, style, SETTLING, vgg, resume=whole[-1].checkpoint) == []


def test_steering_keeps_a_run_from_settling_on_what_was_before(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    """The totals of two objectives are not compared, and there are two times five of the new one at least."""
    plain = paint(content, style, SETTLING, vgg)
    steering = {len(plain) - 2: nst.Steering(tv_weight=1.01 * SETTLING.tv_weight)}
    seen = steered(nst.stylize(content, [(style, 1.0)], SETTLING, vgg=vgg), steering)
    assert len(seen) >= len(plain) - 2 + 11
    resumed = nst.stylize(content, [(style, 1.0)], SETTLING, vgg=vgg, resume=seen[len(plain) - 1].checkpoint)
    rest = steered(resumed, {})
    assert torch.equal(rest[-1].image, seen[-1].image)
