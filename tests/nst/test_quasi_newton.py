"""L-BFGS against its own older form, on bowls, and where the surface is none."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from impasto_server import nst, recipes
from impasto_server.nst.quasi_newton import QuasiNewton
from impasto_server.recipes import RECIPES, Recipe, Scale

from .test_stylize import paint, steered

RECIPE = replace(RECIPES["fast-classic"], remembered_steps=4, learning_rate=10.0, spectral_power=0.0)
SIDES = (1, 3, 4, 5)


def descend(
    slope_at: Callable[[Tensor], Tensor], start: Tensor, recipe: Recipe, count: int
) -> tuple[list[Tensor], QuasiNewton]:
    """The pictures on the way down, start included."""
    optimiser, pictures = QuasiNewton.start(start, Scale(*SIDES[2:], 100), recipe), [start]
    for made in range(count):
        pictures.append(pictures[-1].clone())
        take_step(optimiser, pictures[-1], slope_at(pictures[-2]).clone(), made, recipe)
    return pictures, optimiser


def take_step(optimiser: QuasiNewton, picture: Tensor, slope: Tensor, made: int, recipe: Recipe) -> None:
    numbers = optimiser.step_numbers(recipe.learning_rate, made, recipe)
    optimiser.step(picture, slope, torch.tensor(numbers, dtype=picture.dtype), recipe)


def bowl(steepest: float = 30.0) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """The slope of ½ zᵀ A z with curvatures from 1 to `steepest`, and where to start."""
    generator = torch.Generator().manual_seed(1)
    size = 3 * SIDES[2] * SIDES[3]
    turn, _ = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
    curvature = turn @ torch.diag(torch.logspace(0, torch.log10(torch.tensor(steepest)), size).double()) @ turn.T
    start = torch.randn(SIDES, generator=generator, dtype=torch.float64)
    return lambda picture: (curvature @ picture.flatten()).view_as(picture), start


def two_loops(pairs: list[tuple[Tensor, Tensor]], slope: Tensor) -> Tensor:
    """H times the slope by Nocedal & Wright 2006, algorithm 7.4; pairs of steps and changes, oldest first."""
    step, shares = slope.clone(), []
    for moved, change in reversed(pairs):
        shares.append((moved * step).sum() / (moved * change).sum())
        step -= shares[-1] * change
    moved, change = pairs[-1]
    step *= (moved * change).sum() / change.square().sum()
    for (moved, change), share in zip(pairs, reversed(shares), strict=True):
        step += moved * (share - (change * step).sum() / (moved * change).sum())
    return step


def test_the_compact_form_takes_the_steps_of_the_two_loops() -> None:
    """Past the point where the ring of pairs begins anew."""
    slope_at, start = bowl()
    pictures, _ = descend(slope_at, start, RECIPE, 11)
    moves = [later - earlier for earlier, later in itertools.pairwise(pictures)]
    slopes = [slope_at(picture) for picture in pictures]
    for made in range(1, 11):
        pairs = [(moves[n], slopes[n + 1] - slopes[n]) for n in range(max(0, made - 4), made)]
        torch.testing.assert_close(-moves[made], two_loops(pairs, slopes[made]), rtol=1e-8, atol=1e-12)


def test_it_reaches_the_bottom_of_a_bowl() -> None:
    slope_at, start = bowl()
    pictures, _ = descend(slope_at, start, replace(RECIPE, remembered_steps=10), 60)
    assert slope_at(pictures[-1]).norm() < 1e-6 * slope_at(start).norm()


def test_the_first_step_goes_straight_down_and_as_far_as_the_learning_rate() -> None:
    slope_at, start = bowl()
    pictures, _ = descend(slope_at, start, replace(RECIPE, learning_rate=0.25), 1)
    step, slope = pictures[1] - pictures[0], slope_at(start)
    assert step.square().mean().sqrt() == pytest.approx(0.25)
    assert torch.cosine_similarity(step.flatten(), -slope.flatten(), dim=0) == pytest.approx(1)


def test_no_step_is_longer_than_the_learning_rate() -> None:
    slope_at, start = bowl()
    pictures, optimiser = descend(slope_at, 100 * start, replace(RECIPE, learning_rate=0.25), 6)
    lengths = [(later - earlier).square().mean().sqrt() for earlier, later in itertools.pairwise(pictures)]
    assert [float(length) for length in lengths] == pytest.approx([0.25] * 6)
    assert optimiser.lengths.tolist() == pytest.approx([0.25] * 4)


def test_where_the_surface_is_no_bowl_it_still_goes_down() -> None:
    """On a dome every change of the slope points the wrong way: none of them may count."""
    _, start = bowl()
    pictures, _ = descend(lambda picture: -picture, start, replace(RECIPE, learning_rate=0.1), 8)
    heights = [-float(picture.square().sum()) for picture in pictures]
    assert heights == sorted(heights, reverse=True)
    assert all(picture.isfinite().all() for picture in pictures)


def test_a_flat_surface_leaves_the_picture_as_it_is() -> None:
    _, start = bowl()
    pictures, _ = descend(torch.zeros_like, start.float(), RECIPE, 6)
    assert torch.equal(pictures[-1], start.float())


def test_after_a_change_of_weights_it_goes_straight_down_as_far_as_it_went_before() -> None:
    slope_at, start = bowl()
    pictures, optimiser = descend(slope_at, start, RECIPE, 7)
    last = (pictures[-1] - pictures[-2]).square().mean().sqrt()
    optimiser.forget_slopes()
    slope = 1000 * slope_at(pictures[-1])
    picture = torch.zeros_like(start)
    take_step(optimiser, picture, slope.clone(), 7, RECIPE)
    step = -picture
    assert step.square().mean().sqrt() == pytest.approx(float(last))
    assert torch.cosine_similarity(step.flatten(), slope.flatten(), dim=0) == pytest.approx(1)


def small_run(steps: int) -> Recipe:
    return replace(recipes.customise("fast-classic", {"size_px": 48, "steps": steps}), remembered_steps=3)


def test_a_steered_run_is_resumed_with_what_it_remembered(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    """Cut before the ring is full, right before the weights change, and after it."""
    recipe, messages = small_run(9), {5: nst.Steering(style_weight=3e4)}
    whole = steered(nst.stylize(content, [(style, 1.0)], recipe, vgg=vgg), messages)
    for cut in (2, 5, 7):
        steering = messages.get(cut)
        run = nst.stylize(content, [(style, 1.0)], recipe, vgg=vgg, resume=whole[cut - 1].checkpoint, steering=steering)
        assert torch.equal(steered(run, messages)[-1].image, whole[-1].image)


def test_an_ended_run_goes_on_without_a_leap(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    *_, end = nst.stylize(content, [(style, 1.0)], small_run(40), vgg=vgg)
    last, whole = end.last_checkpoint(), end.checkpoint()
    assert "pairs" in whole.tensors and "pairs" not in last.tensors  # they are most of it
    from_last, from_whole = (paint(content, style, small_run(10), vgg, begin_from=frozen) for frozen in (last, whole))
    losses = [seen.losses.total for seen in from_last]
    assert max(losses) < 1.02 * end.losses().total
    assert losses[-1] < losses[0]
    assert torch.equal(from_last[-1].image, from_whole[-1].image)


def test_a_run_of_adam_s_is_gone_on_from(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    classic = recipes.customise("classic", {"size_px": 48, "steps": 20})
    end = paint(content, style, classic, vgg)[-1].checkpoint
    losses = [seen.losses.total for seen in paint(content, style, small_run(30), vgg, begin_from=end)]
    assert losses[-1] < losses[0]


def test_a_larger_scale_begins_as_far_as_the_last_steps_went_and_remembers_no_more_than_it_asks_for() -> None:
    slope_at, start = bowl()
    _, optimiser = descend(slope_at, start, RECIPE, 12)
    finer = optimiser.at_next_scale(Scale(8, 10, 3), 0.25, RECIPE)
    assert finer.pairs.shape == (2, 2, 3, 8, 10)
    slope = torch.randn(1, 3, 8, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    picture = torch.zeros_like(slope)
    take_step(finer, picture, slope.clone(), 12, RECIPE)
    torch.testing.assert_close(-picture, slope * optimiser.lengths.mean() / slope.square().mean().sqrt())
