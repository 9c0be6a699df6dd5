"""Time left is honest: it follows the pixels still to come."""

from __future__ import annotations

import pytest

from impasto_server.engine.rate import Rate
from impasto_server.recipes import Scale

SCALES = (Scale(64, 64, 10), Scale(128, 128, 5))


def test_a_scale_not_yet_reached_is_taken_to_cost_the_same_time_a_pixel() -> None:
    rate = Rate(SCALES)
    for _ in range(4):
        rate.made_step(1, 0.1)
    assert rate.steps_per_second == pytest.approx(10)
    assert rate.seconds_left(4, 15) == pytest.approx(6 * 0.1 + 5 * 0.4)


def test_the_first_step_of_a_scale_counts_only_until_the_second() -> None:
    rate = Rate(SCALES)
    rate.made_step(1, 5.0)
    assert rate.seconds_left(1, 15) > 40
    rate.made_step(1, 0.1)
    assert rate.steps_per_second == pytest.approx(10)


def test_the_rate_follows_a_change() -> None:
    rate = Rate(SCALES)
    for seconds in (0.1, 0.1, *[0.2] * 30):
        rate.made_step(2, seconds)
    assert rate.steps_per_second == pytest.approx(5, rel=0.01)


def test_nothing_is_left_at_the_end() -> None:
    rate = Rate(SCALES)
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
    rate.made_step(2, 0.4)
    assert rate.seconds_left(11, 13) == pytest.approx(2 * 0.4)
