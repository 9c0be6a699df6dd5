"""How much sooner than `pastiche` (PyPI, MIT) we are where it ends, on its own objective and its own terms.

pastiche runs as its user starts it: default layers, weights and L-BFGS, its network frozen (it does that by
itself), from the content, for 500 steps or all of its default, 1000. It and we see the same 8-bit pictures at the
same size, and the same embedded weights.

Our engine descends on pastiche's objective. No code is needed for that: its content loss is a mean over the
elements of relu4_2 times 0.01, its style loss (mean over C × C of the difference of F Fᵀ / (H · W))² · 10 / C², and
with F Fᵀ / (C · H · W) in the place of the Gram matrix that is our textbook objective with the weights 0.01 and 10,
on weights that aren't unit-mean. All activations are divided by one number, and the two weights multiplied by its
square and its fourth power, which changes nothing but keeps numbers near 1. We begin at a coarser scale
(`--coarsest-px`), as suits an objective with so much style in it. A row tells how far the two implementations are
apart at the start: the zeros that convolutions pad with stand for a slightly different grey.

The value to reach is pastiche's, judged by pastiche's own code in float32 at its milestones and at its end; the
same code judges our pictures, outside the timed part. The two take turns. Our time holds targets and compilation,
pastiche's its steps alone. Noise as in `bench.convergence`.
"""

from __future__ import annotations

import dataclasses
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.clock import Stopwatch
from bench.ours import Run
from bench.pictures import filled, opened, painting, photo, saved
from bench.race import Judged, Point
from bench.report import Chart, Found, Line, Row, at_least
from bench.textbook import as_torch_comes
from impasto_server import nst
from impasto_server.nst.pictures import normalised
from impasto_server.nst.unit_mean import unit_mean
from impasto_server.nst.weights import COLOUR_MEAN, COLOUR_STD, read_convolutions
from impasto_server.recipes import CONVOLUTIONS, RECIPES, Recipe, customise

GOAL = 4.0
SCALE = 100.0
"""What activations are divided by."""
MILESTONES = (0.1, 0.3, 1.0)
"""Shares of pastiche's run at which its value is one to reach."""
_MEAN_BGR = (103.939, 116.779, 123.68)


def measure(
    *,
    device: torch.device,
    recipe: str = "fast-classic",
    size_px: int = 512,
    steps: int = 500,
    own_steps: int | None = 400,
    coarsest_px: int | None = 128,
    slice_steps: int = 20,
) -> Iterator[Found]:
    """One picture: a coffee cup by night-swirl, 3 : 2. `steps` are pastiche's."""
    if recipe not in RECIPES:
        print(f"  NOTICE: there is no recipe {recipe} here; measuring classic", flush=True)
        recipe = "classic"
    height_px = round(size_px * 2 / 3)
    with tempfile.TemporaryDirectory() as scratch:
        content_path = saved(filled(photo("coffee"), height_px, size_px), Path(scratch) / "content.png")
        style_path = saved(filled(painting("night-swirl"), height_px, size_px), Path(scratch) / "style.png")
        content, style = opened(content_path), opened(style_path)
        peer = Peer(content_path, style_path, device)
    run = Run(content, style, _on_its_objective(recipe, height_px, size_px, own_steps, coarsest_px), _weights(device))
    ours = Judged(run, peer.value, max(1, run.recipe.steps // 60))
    yield _difference(content, style, run, peer)
    peer.draw()  # warm; it counts as a step, but its time doesn't
    made = [Point(1, 0.0, peer.value())]
    watch = Stopwatch(device)
    milestones = sorted({max(2, round(share * steps)) for share in MILESTONES})
    while made[-1].steps < steps:
        stride = min(slice_steps, next(stop for stop in milestones if stop > made[-1].steps) - made[-1].steps)
        for _ in range(stride):
            watch.time(peer.draw)
        made.append(Point(made[-1].steps + stride, watch.seconds, peer.value()))
        ours.advance(slice_steps)
    ours.advance(run.recipe.steps)
    yield Row(f"pastiche, {size_px} × {height_px} px", watch.seconds / (steps - 1), "s/step")
    yield Row(f"{recipe}, the same objective", run.watch.seconds / run.done, "s/step")
    for point in made:
        if point.steps in milestones:
            yield _race(point, ours, recipe, last=point.steps == steps)
    lines = [_line("pastiche", made), _line(recipe, ours.points)]
    level = {"pastiche's end": made[-1].value}
    title = f"{size_px} × {height_px} px, coffee × night-swirl"
    yield Chart(title, "seconds", "pastiche's objective", tuple(lines), level, log_x=True, log_y=True)


class Peer:
    """pastiche's artist, as its command line makes one."""

    def __init__(self, content: Path, style: Path, device: torch.device) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about Pillow, and not ours to mend
            from pastiche.pastiche import PasticheArtist  # type: ignore[import-untyped]

            self._artist: Any = PasticheArtist(str(content), [str(style)], device=str(device))

    def draw(self) -> None:
        """One step, as its command line makes them."""
        with as_torch_comes():
            self._artist.draw()

    @torch.no_grad()
    def value(self, picture: Tensor | None = None) -> float:
        """Its objective by its own code in float32: of its own picture or of a normalised one (1, 3, H, W)."""
        own = self._artist.pastiche
        try:
            if picture is not None:
                self._artist.pastiche = _as_it_sees(picture).to(own)
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                return float(self._artist._calc_loss())
        finally:
            self._artist.pastiche = own


def _as_it_sees(picture: Tensor) -> Tensor:
    """A normalised picture as BGR in 0–255 less the original network's mean colour; nothing is clamped."""
    std, mean = (torch.tensor(values).view(1, 3, 1, 1) for values in (COLOUR_STD, COLOUR_MEAN))
    return 255 * (picture.cpu() * std + mean).flip(1) - torch.tensor(_MEAN_BGR).view(1, 3, 1, 1)


def _on_its_objective(recipe: str, height_px: int, width_px: int, steps: int | None, coarsest_px: int | None) -> Recipe:
    wanted = {"height_px": height_px, "width_px": width_px, "steps": steps, "coarsest_px": coarsest_px}
    return dataclasses.replace(
        customise(recipe, {name: value for name, value in wanted.items() if value is not None}),
        content_layers=("relu4_2",),
        style_layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
        content_weight=0.01 * SCALE**2,
        style_weight=10.0 * SCALE**4,
        tv_weight=0.0,
    )


def _weights(device: torch.device) -> nst.Vgg:
    scaled = unit_mean(read_convolutions("original"), dict.fromkeys(CONVOLUTIONS, SCALE))
    return nst.Vgg("original", {name: convolution.to(device) for name, convolution in scaled.items()})


def _difference(content: Tensor, style: Tensor, run: Run, peer: Peer) -> Row:
    """Of the two implementations, on the picture that both begin with."""
    recipe = dataclasses.replace(run.recipe, steps=1, coarsest_px=None, precision="exact")
    (step,) = nst.stylize(content, [(style, 1.0)], recipe, vgg=_weights(run.watch.device))
    away = step.losses().total / peer.value(normalised(content)) - 1
    return Row("our implementation of its objective is off by", 100 * abs(away), "%", note="at the start")


def _race(point: Point, ours: Judged, recipe: str, *, last: bool) -> Row:
    what = f"{recipe} to where pastiche is after {point.steps} steps"
    arrival = ours.reached(point.value)
    if arrival is None:
        best = ours.best()
        note = f"never arrives; lowest {best.value / point.value - 1:+.1%} after {best.seconds:.3g} s"
        return at_least(what, 0.0, GOAL, "×", note) if last else Row(what, 0.0, "×", note=note)
    ratio = point.seconds / arrival.seconds
    note = f"{point.seconds:.3g} s against {arrival.seconds:.3g} s ({arrival.steps} steps)"
    return at_least(what, ratio, GOAL, "×", note) if last else Row(what, ratio, "×", note=note)


def _line(label: str, points: Sequence[Point]) -> Line:
    later = [point for point in points if point.seconds > 0]
    return Line(label, tuple(point.seconds for point in later), tuple(point.value for point in later))
