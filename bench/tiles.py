"""What exact tiles cost in time: a step in tiles against the same step in one piece.

Tiles are computed twice, once for the sums over positions and once for the gradient, and each sees a border around what
it owns; they also compute what they need from memory that caches hold. The two runs take turns, a step or two each, so
that the machine's moods hit both; the cost is the median over the turns of the ratio of their times. Each run's first
step, which holds its targets, isn't counted.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import torch

from bench.memory import UNTILED_PX
from bench.ours import Run
from bench.pictures import filled, painting, photo
from bench.report import Chart, Found, Line, Row, at_most
from impasto_server import nst
from impasto_server.recipes import customise


def measure(
    *,
    device: torch.device,
    recipe: str = "classic",
    height_px: int = 1408,
    width_px: int = 2048,
    tile_px: int = 1024,
    turns: int = 3,
    turn_steps: int = 1,
) -> Iterator[Found]:
    """Both ways in turn."""
    vgg = nst.load_vgg("original", device)
    size = {"height_px": height_px, "width_px": width_px, "steps": 1 + turns * turn_steps}
    content, style = filled(photo("coffee"), height_px, width_px), painting("night-swirl")
    whole, tiled = (
        Run(content, style, customise(recipe, {**size, "tile_px": side}).at_one_scale(), vgg)
        for side in (UNTILED_PX, tile_px)
    )
    whole.advance(1)
    tiled.advance(1)
    seconds = [(whole.advance(turn_steps), tiled.advance(turn_steps)) for _ in range(turns)]
    ratios = [in_tiles / in_one for in_one, in_tiles in seconds]
    yield Row(f"{recipe}, {width_px} × {height_px} px in one piece", _median(seconds, 0) / turn_steps, "s/step")
    yield Row(f"  in tiles of {tile_px} px", _median(seconds, 1) / turn_steps, "s/step")
    spread = f"turns from {min(ratios):.2f} to {max(ratios):.2f}"
    yield at_most("  the tiles' cost", statistics.median(ratios), 1.9, "×", spread)
    turn = tuple(float(number) for number in range(1, turns + 1))
    yield Chart(
        f"A step in tiles of {tile_px} px, {width_px} × {height_px} px, {recipe}",
        "turn",
        "s/step",
        (
            Line("in one piece", turn, tuple(pair[0] / turn_steps for pair in seconds)),
            Line("in tiles", turn, tuple(pair[1] / turn_steps for pair in seconds)),
        ),
    )


def _median(seconds: list[tuple[float, float]], which: int) -> float:
    return statistics.median(pair[which] for pair in seconds)
