"""Runs: their steps, steering, and taking them up again."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from impasto_server import nst, recipes
from impasto_server.recipes import RECIPES, Recipe

from .conftest import photograph

# Two scales at a size where a run takes a second.
SMALL = replace(recipes.customise("painterly", {"size_px": 64, "steps": 7}), coarsest_px=32)


def paint(content: Tensor, style: Tensor, recipe: Recipe, vgg: nst.Vgg) -> list[nst.Step]:
    return list(nst.stylize(content, [(style, 1.0)], recipe, vgg=vgg))


def steered(run: Iterable[nst.Step], by: dict[int, nst.Steering]) -> list[nst.Step]:
    """All steps of a run, with a message sent after some of them."""
    steps = []
    try:
        step = next(run)
        while True:
            steps.append(step)
            step = run.send(by.get(step.step))
    except StopIteration:
        return steps


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_lowers_its_losses(name: str, vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    steps = paint(content, style, recipes.customise(name, {"size_px": 64, "steps": 12}), vgg)
    assert steps[-1].losses().total < 0.8 * steps[0].losses().total
    assert steps[-1].image().shape == (43, 64, 3)


def test_a_run_follows_its_plan(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    steps = paint(content, style, SMALL, vgg)
    plan = recipes.plan(SMALL, 80, 120)
    assert len(plan) == 2
    assert [(s.scale, s.height_px, s.width_px) for s in steps] == [
        (number, scale.height_px, scale.width_px) for number, scale in enumerate(plan, 1) for _ in range(scale.steps)
    ]
    assert [s.step for s in steps] == list(range(1, 8))
    assert {(s.scales, s.steps) for s in steps} == {(2, 7)}
    for step in steps:
        assert step.image().shape == (step.height_px, step.width_px, 3)
        assert step.image().dtype == torch.uint8


def test_the_first_step_already_shows_the_content(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    first = next(nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg))
    shown = first.image().float().permute(2, 0, 1)
    photo = photograph("coffee", first.height_px, first.width_px)
    together = torch.corrcoef(torch.stack((shown.mean(0).flatten(), photo.mean(0).flatten())))
    assert together[0, 1] > 0.9


def test_handles_outlive_their_step(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    run = nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg)
    first = next(run)
    image, losses, checkpoint = first.image(), first.losses(), first.checkpoint()
    list(run)
    assert torch.equal(first.image(), image)
    assert first.losses() == losses
    assert all(torch.equal(first.checkpoint().tensors[name], tensor) for name, tensor in checkpoint.tensors.items())


def test_the_same_inputs_give_the_same_picture(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    once, again = (paint(content, style, SMALL, vgg)[-1].image() for _ in range(2))
    assert torch.equal(once, again)


def test_the_seed_decides_the_noise(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    noisy = replace(SMALL, initial_image="noise", steps=2)
    zero, again, one = (paint(content, style, replace(noisy, seed=seed), vgg)[-1].image() for seed in (0, 0, 1))
    assert torch.equal(zero, again)
    assert not torch.equal(zero, one)


def test_weights_of_styles_are_taken_in_proportion(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    other = photograph("rocket", 60, 90)
    recipe = replace(SMALL, steps=2)

    def last(*styles: tuple[Tensor, float]) -> Tensor:
        return list(nst.stylize(content, styles, recipe, vgg=vgg))[-1].image()

    assert torch.equal(last((style, 1), (other, 3)), last((style, 0.5), (other, 1.5)))
    assert not torch.equal(last((style, 1), (other, 3)), last((style, 1), (other, 1)))


def test_steering_changes_the_next_step_and_only_what_it_names(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    plain = [step.losses() for step in paint(content, style, SMALL, vgg)]
    run = nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg)
    seen = [step.losses() for step in steered(run, {3: nst.Steering(style_weight=3 * SMALL.style_weight)})]
    assert seen[:3] == plain[:3]
    assert seen[3].style == pytest.approx(3 * plain[3].style)
    assert (seen[3].content, seen[3].tv) == (plain[3].content, plain[3].tv)
    assert seen[4].content != plain[4].content


@pytest.mark.parametrize("cut", [1, 3, 4, 6])
def test_a_resumed_run_ends_in_the_same_bytes(cut: int, vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    """Cut at the beginning, inside the coarse scale, at its end, and inside the fine one."""
    assert [scale.steps for scale in recipes.plan(SMALL, 80, 120)] == [4, 3]
    whole = paint(content, style, SMALL, vgg)
    checkpoint = whole[cut - 1].checkpoint()
    carried = nst.Checkpoint(checkpoint.tensors, json.loads(json.dumps(checkpoint.meta)))
    rest = list(nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg, resume=carried))
    assert [step.step for step in rest] == list(range(cut + 1, 8))
    assert torch.equal(rest[-1].image(), whole[-1].image())
    assert rest[-1].losses() == whole[-1].losses()


def test_a_resumed_classic_run_ends_in_the_same_bytes(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    recipe = recipes.customise("classic", {"size_px": 48, "steps": 5, "decay_every_steps": 2})
    whole = paint(content, style, recipe, vgg)
    rest = list(nst.stylize(content, [(style, 1.0)], recipe, vgg=vgg, resume=whole[2].checkpoint()))
    assert torch.equal(rest[-1].image(), whole[-1].image())


def test_a_steered_run_is_resumed_with_the_weights_it_had(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    messages = {2: nst.Steering(content_weight=0.0, tv_weight=3.0), 6: nst.Steering(style_weight=1.0)}
    whole = steered(nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg), messages)
    for cut in (3, 5):
        checkpoint = whole[cut - 1].checkpoint()
        rest = steered(nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg, resume=checkpoint), messages)
        assert torch.equal(rest[-1].image(), whole[-1].image())


def test_resuming_after_the_last_step_has_nothing_to_do(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    end = paint(content, style, SMALL, vgg)[-1].checkpoint()
    assert list(nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg, resume=end)) == []


def test_another_run_s_checkpoint_is_refused(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    checkpoint = next(nst.stylize(content, [(style, 1.0)], SMALL, vgg=vgg)).checkpoint()
    longer = replace(SMALL, steps=8)
    with pytest.raises(nst.CheckpointError, match="made with another recipe"):
        next(nst.stylize(content, [(style, 1.0)], longer, vgg=vgg, resume=checkpoint))
    with pytest.raises(nst.CheckpointError, match=r"this content is painted at \(1, 3, 32, 32\) in that scale"):
        next(nst.stylize(content[..., :80], [(style, 1.0)], SMALL, vgg=vgg, resume=checkpoint))


@pytest.mark.parametrize(
    ("content", "styles", "message"),
    [
        (torch.zeros(3, 8, 8), [], "There is no style; expected at least one (image, weight)."),
        (torch.zeros(8, 8, 3), [(torch.zeros(3, 8, 8), 1)], "content is (8, 8, 3) torch.float32; expected"),
        (
            torch.zeros(3, 8, 8).byte(),
            [(torch.zeros(3, 8, 8), 1)],
            "content is (3, 8, 8) torch.uint8; expected",
        ),
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
    assert all(torch.isfinite(step._terms).all() for step in paint(black, white, recipe, vgg))
