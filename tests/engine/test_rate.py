"""Time left is honest: it follows the pixels still to come, and doesn't jump."""

from __future__ import annotations

import itertools

import pytest

from impasto_server.engine.rate import Rate
from impasto_server.recipes import RECIPES, Scale, plan

SCALES = (Scale(64, 64, 10), Scale(128, 128, 5))


def test_a_scale_not_yet_reached_is_taken_to_cost_less_than_the_same_time_a_pixel() -> None:
    """Small pictures have overhead, and the first step of a scale does more than the others."""
    rate = Rate(SCALES)
    for _ in range(4):
        rate.made_step(1, 0.1)
    assert rate.steps_per_second == pytest.approx(10)
    assert rate.seconds_left(4, 15) == pytest.approx(6 * 0.1 + (5 + 2) * 0.1 * 4**0.8)


def test_two_scales_tell_what_the_third_will_cost() -> None:
    scales = (*SCALES, Scale(256, 256, 5))
    rate = Rate(scales)
    for _ in range(10):
        rate.made_step(1, 0.1)
    for _ in range(30):
        rate.made_step(2, 0.2)
    # Four times the pixels took twice as long, a power of a half: the next one is half-way to as long a pixel.
    assert rate.seconds_left(15, 20) == pytest.approx((5 + 2) * 0.2 * 4**0.75, rel=0.03)


def test_the_first_step_of_a_run_stands_for_three() -> None:
    rate = Rate(SCALES)
    rate.made_step(1, 0.3)
    assert rate.seconds_left(1, 15) == pytest.approx(9 * 0.1 + 7 * 0.1 * 4**0.8)
    rate.made_step(1, 0.1)
    assert rate.steps_per_second == pytest.approx(10)


def test_the_first_step_of_a_larger_scale_makes_nothing_jump() -> None:
    rate = Rate(SCALES)
    for _ in range(10):
        rate.made_step(1, 0.1)
    before = rate.seconds_left(10, 15)
    rate.made_step(2, 3 * 0.1 * 4**0.8)
    assert rate.seconds_left(11, 15) < before


def test_what_is_told_grows_little_by_little() -> None:
    """A device that is suddenly shared is ten times as slow: that is told, but not all at once."""
    rate = Rate((Scale(64, 64, 1000),))
    told = []
    for step in range(1, 800):
        rate.made_step(1, 0.1 if step < 100 else 1.0)
        told.append(rate.seconds_left(step, 1000))
    growth = [after - before for before, after in itertools.pairwise(told)]
    assert 0 < max(growth) < 5
    assert told[-1] == pytest.approx(201, rel=0.1)


@pytest.mark.parametrize(
    ("recipe", "step_s", "most"),
    [
        # As measured on a CPU at 512 px (docs/performance.md): the first step of each scale, and the others.
        ("painterly", ((0.25, 0.065), (0.50, 0.189), (1.34, 0.684)), 1.35),
        ("draft", ((0.25, 0.065), (0.50, 0.189), (1.34, 0.684)), 1.6),
    ],
)
def test_the_end_that_is_foretold_stays_near_the_one_that_comes(
    recipe: str, step_s: tuple[tuple[float, float], ...], most: float
) -> None:
    scales = plan(RECIPES[recipe], 341, 512)
    rate = Rate(scales)
    now, step, steps, told, ends = 0.0, 0, sum(scale.steps for scale in scales), [], []
    for number, (scale, (first, other)) in enumerate(zip(scales, step_s, strict=True), start=1):
        for index in range(scale.steps):
            step += 1
            now += (seconds := other if index else first)
            rate.made_step(number, seconds)
            told.append(rate.seconds_left(step, steps))
            ends.append(now + told[-1])
    assert max(ends) < most * now
    assert min(ends) > 0.8 * now
    assert all(after < before for before, after in itertools.pairwise(told))


def test_the_rate_follows_a_change() -> None:
    rate = Rate(SCALES)
    for seconds in (0.1, 0.1, *[0.2] * 30):
        rate.made_step(2, seconds)
    assert rate.steps_per_second == pytest.approx(5, rel=0.01)


def test_nothing_is_left_at_the_end() -> None:
    rate = Rate(SCALES)
    for _ in range(2):
        rate.made_step(2, 0.4)
    assert rate.seconds_left(15, 15) == 0
    assert rate.seconds_left(14, 15) == pytest.approx(0.4)


def test_a_fast_device_s_rate_is_a_mean_over_half_a_second() -> None:
    """A step in which a preview was taken must not show in a rate of a thousand steps a second."""
    rate = Rate(SCALES)
    for number in range(2000):
        rate.made_step(2, 0.02 if number % 100 == 99 else 0.001)
    assert rate.steps_per_second == pytest.approx(1000 / 1.19, rel=0.05)


def test_a_run_that_is_going_to_settle_takes_no_longer_than_that() -> None:
    rate = Rate(SCALES)
    for _ in range(2):
        rate.made_step(2, 0.4)
    assert rate.seconds_left(11, 13) == pytest.approx(2 * 0.4)
