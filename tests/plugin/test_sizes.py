"""The size that is painted is told truly, before it is painted."""

from __future__ import annotations

import pytest

from painting.sizes import painted_px, painted_size, seconds_here  # type: ignore[import-not-found]
from texts import duration, size_sentence, waiting_text  # type: ignore[import-not-found]

PAINTERLY = {"name": "painterly", "size_px": 512}
CLASSIC = {"name": "classic", "size_px": 450}


@pytest.mark.parametrize(
    ("chosen", "recipe", "longest", "rate", "painted"),
    [
        (0, PAINTERLY, 4000, None, 512),  # nobody knows how long more would take
        (0, PAINTERLY, 4000, 60.0, 512),  # 16 minutes at full size
        (0, PAINTERLY, 4000, 2.0, 4000),  # half a minute
        (0, PAINTERLY, 300, None, 300),  # no more than there is
        (0, CLASSIC, 4000, 0.1, 450),  # the textbook's own, however quick the device
        (1024, PAINTERLY, 4000, 60.0, 1024),  # the painter has said so
        (9999, PAINTERLY, 4000, None, 4000),
        (8, PAINTERLY, 4000, None, 32),
        (0, PAINTERLY, 30000, 0.01, 16384),  # the server's limit
    ],
)
def test_what_is_painted(
    chosen: int, recipe: dict[str, object], longest: int, rate: float | None, painted: int
) -> None:
    assert painted_px(chosen, recipe, longest, 16384, rate) == painted


def test_the_sentence_says_pixels_enlargement_and_time() -> None:
    size = painted_size(512, 4000, 3000)
    assert size == (512, 384)
    assert seconds_here(100.0, size) == pytest.approx(19.66, abs=0.01)
    assert size_sentence(size, (4000, 3000), 19.66) == "Painted at 512 × 384 px, then enlarged 7.8 times · about 20 s"
    assert size_sentence((400, 300), (400, 300), None) == "Painted at 400 × 300 px"
    assert size_sentence((400, 300), (800, 600), None) == "Painted at 400 × 300 px, then enlarged 2 times"


def test_times_are_no_more_exact_than_they_are() -> None:
    assert [duration(seconds) for seconds in (0.2, 9, 47, 88, 91, 3000, 9000)] == [
        "1 s", "9 s", "45 s", "90 s", "2 min", "50 min", "2 h"
    ]  # fmt: skip


def test_places_in_the_queue_are_said_as_people_do() -> None:
    assert waiting_text(1) == "Waiting: next in line"
    assert waiting_text(2) == "Waiting: 1 picture is ahead"
    assert waiting_text(4) == "Waiting: 3 pictures are ahead"
