"""A run settles when its totals have stopped falling, and only then."""

import math
import random
from collections.abc import Iterable
from dataclasses import replace

import pytest
from torch import Tensor

from impasto_server import nst, recipes
from impasto_server.nst.convergence import Convergence
from impasto_server.recipes import RECIPES

RECIPE = replace(RECIPES["fast-classic"], settled_share=0.005, settled_over_steps=10)


def settles_after(totals: Iterable[float], convergence: Convergence | None = None) -> int | None:
    """The number of totals after which it says so first."""
    convergence = convergence or Convergence(RECIPE)
    for count, total in enumerate(totals, start=1):
        convergence.take(total)
        if convergence.settled:
            return count
    return None


def falling(count: int) -> list[float]:
    """As the textbook's objective does: steeply at first, then by a little less at each step."""
    return [100 + 2000 / step for step in range(1, count + 1)]


def test_it_settles_when_ten_steps_lower_the_mean_by_no_more_than_the_share() -> None:
    totals = falling(400)

    def fall(end: int) -> float:
        return 1 - sum(totals[end - 10 : end]) / sum(totals[end - 20 : end - 10])

    count = settles_after(totals)
    assert count is not None
    assert 100 < count < 300
    assert fall(count) <= 0.005 < fall(count - 1)


def test_noise_neither_ends_a_falling_run_nor_keeps_a_settled_one() -> None:
    """By half a percent each way, ten times what a step lowers the total by in the end."""
    noise = random.Random(1)
    noisy = [total * noise.uniform(0.995, 1.005) for total in falling(400)]
    smooth, rough = settles_after(falling(400)), settles_after(noisy)
    assert smooth is not None
    assert rough is not None
    assert abs(rough - smooth) <= 40, (smooth, rough)


def test_a_plateau_at_the_start_is_no_end_until_both_means_are_full() -> None:
    plateau = [100.0] * 15
    assert settles_after([*plateau, *falling(10)]) is None
    assert settles_after([100.0] * 100) == 20


def test_a_rise_is_no_convergence() -> None:
    assert settles_after(10 + 0.2 * step for step in range(60)) is None


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_not_a_number_is_no_convergence(wrong: float) -> None:
    """Until it is too long ago to count."""
    assert settles_after([wrong] * 100) is None
    assert settles_after([*[5.0] * 15, wrong, *[5.0] * 40]) == 36


def test_a_total_of_nothing_is_settled() -> None:
    assert settles_after([0.0] * 30) == 20


@pytest.mark.parametrize("stop", [0, 1, 19, 60, 120, 160])
def test_a_resumed_run_settles_after_the_same_step(stop: int) -> None:
    noise = random.Random(2)
    totals = [total * noise.uniform(0.995, 1.005) for total in falling(400)]
    first = Convergence(RECIPE)
    for total in totals[:stop]:
        first.take(total)
    rest = settles_after(totals[stop:], Convergence(RECIPE, first.totals))
    assert rest is not None
    assert stop + rest == settles_after(totals)
    assert len(first.totals) == min(stop, 20)


def test_new_weights_are_a_new_objective() -> None:
    convergence = Convergence(RECIPE)
    assert settles_after(falling(400), convergence) is not None
    convergence.forget()
    assert not convergence.settled
    assert settles_after([7.0] * 100, convergence) == 20


@pytest.mark.parametrize("made", [40, 80, 120, 160])
def test_the_end_is_foretold_within_a_quarter(made: int) -> None:
    totals = falling(400)
    end = settles_after(totals)
    assert end is not None
    assert made < end
    convergence = Convergence(RECIPE)
    settles_after(totals[:made], convergence)
    assert made + convergence.steps_left(made, 400) == pytest.approx(end, rel=0.25)
    assert convergence.steps_left(made, made + 5) <= 5


def test_a_settled_run_has_no_steps_left() -> None:
    convergence = Convergence(RECIPE)
    assert settles_after(falling(400), convergence) is not None
    count = settles_after(falling(400))
    assert count is not None
    assert convergence.steps_left(count, 400) == 0
    settles_after([7.0] * 40, convergence)
    assert convergence.steps_left(count + 40, 400) == 0


def test_as_long_as_nothing_is_known_all_steps_are_left() -> None:
    convergence = Convergence(RECIPE)
    assert convergence.steps_left(0, 400) == 400
    assert settles_after([math.nan] * 30, convergence) is None
    assert convergence.steps_left(30, 400) == 370
    assert Convergence(RECIPES["classic"]).steps_left(60, 500) == 440


def test_a_recipe_without_a_share_never_settles_and_remembers_nothing() -> None:
    convergence = Convergence(RECIPES["classic"])
    assert settles_after([1.0] * 1000, convergence) is None
    assert convergence.totals == ()


def test_only_fast_classic_ends_before_its_last_step() -> None:
    assert [name for name, recipe in RECIPES.items() if recipe.settled_share is not None] == ["fast-classic"]


def test_fast_classic_settles_when_little_is_left_to_lose(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    """A small picture of a run that is made to go on."""
    all_steps = replace(recipes.customise("fast-classic", {"size_px": 32, "steps": 160}), precision="exact")
    totals = [step.losses().total for step in nst.stylize(content, [(style, 1.0)], all_steps, vgg=vgg)]
    end = settles_after(totals, Convergence(RECIPES["fast-classic"]))
    assert end is not None
    assert 60 < end < 150
    assert totals[end - 1] < 1.02 * totals[-1]
