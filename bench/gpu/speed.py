"""Steps a second: by size with their share of the ceiling, and with each shortcut switched off."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from bench.gpu.ledger import Finding
from bench.gpu.setting import Setting, Sizes, content_of, height_of, sized, style
from bench.limits import Limits
from bench.ours import Run
from bench.report import Found, Row, at_least
from bench.throughput import step_flop
from impasto_server import nst
from impasto_server.recipes import RECIPES, Recipe

WARM_STEPS = 6
"""Targets, the choice of kernels, and the recording after the third step."""
SHARE_GOALS = {("cuda", 2048): 35.0}
"""Percent of the bfloat16 ceiling, by kind of device and long side."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Steps a second: the median of some slices, and their range."""

    median: float
    lowest: float
    highest: float

    @property
    def note(self) -> str:
        return f"slices from {self.lowest:.4g} to {self.highest:.4g}"


def measure(setting: Setting) -> Iterator[Found | Finding]:
    """`painterly` by size; the textbook's objective at the book's size and at a larger one."""
    limits, sizes = Limits(setting.device), setting.sizes
    for width_px in sizes.speed_px:
        recipe = sized("painterly", height_of(width_px), width_px)
        goal = SHARE_GOALS.get((setting.device.type, width_px))
        yield from setting.case(f"{width_px} px", _shares(setting, limits, recipe, torch.bfloat16, goal))
    for name, dtype in (("classic", torch.float32), ("fast-classic", torch.bfloat16)):
        for height_px, width_px in (sizes.book_px, (height_of(sizes.classic_px), sizes.classic_px)):
            recipe = sized(name, height_px, width_px)
            yield from setting.case(f"{name}, {width_px} px", _shares(setting, limits, recipe, dtype, None))


def _shares(setting: Setting, limits: Limits, recipe: Recipe, dtype: torch.dtype, goal: float | None) -> Iterator[Row]:
    assert recipe.height_px and recipe.width_px
    what = f"{recipe.name}, {recipe.width_px} × {recipe.height_px} px"
    before = limits.matmul_flops(dtype, setting.sizes.ceiling_s / 4)
    found = rate(recipe, setting.trusted_vgg, setting.sizes)
    ceiling = (before + limits.matmul_flops(dtype, setting.sizes.ceiling_s / 4)) / 2
    flops = found.median * step_flop(recipe, setting.trusted_vgg, recipe.height_px, recipe.width_px)
    yield Row(what, found.median, "steps/s", note=found.note)
    yield Row(f"{what}, convolutions", flops / 1e12, "TFLOP/s", note="counted from the recipe's layers")
    share, kind = 100 * flops / ceiling, f"{what}, share of the {str(dtype).removeprefix('torch.')} ceiling"
    note = f"{ceiling / 1e12:.4g} TFLOP/s just then"
    yield Row(kind, share, "%", note=note) if goal is None else at_least(kind, share, goal, "%", note)


def recording(setting: Setting) -> Iterator[Found | Finding]:
    """`painterly` with steps replayed and with each kernel launched by Python, size by size."""
    for width_px in setting.sizes.recorded_px:
        yield from setting.case(f"{width_px} px", _without(setting, width_px, {"recorded": False}))


def shortcuts(setting: Setting) -> Iterator[Found | Finding]:
    """`painterly` with everything, and with one shortcut less."""
    for width_px in setting.sizes.switched_px:
        changes = {"reduced": torch.float32}, {"fused": False}, {"own_kernels": False}
        yield from setting.case(f"{width_px} px", _without(setting, width_px, *changes))


def _without(setting: Setting, width_px: int, *changes: dict[str, object]) -> Iterator[Found | Finding]:
    recipe, trusted = sized("painterly", height_of(width_px), width_px), setting.trusted_vgg.shortcuts
    whole = rate(recipe, setting.trusted_vgg, setting.sizes)
    yield Row(f"{width_px} px, every shortcut", whole.median, "steps/s", note=whole.note)
    for change in changes:
        fewer = replace(trusted, **change)
        what = f"{width_px} px, without {', '.join(change)}"
        if fewer == trusted:
            yield Finding(what=what, state="skipped", note="the device isn't trusted with it to begin with")
        else:
            vgg = replace(setting.trusted_vgg, shortcuts=fewer)
            yield from setting.case(what, _less(setting, what, recipe, vgg, whole))


def _less(setting: Setting, what: str, recipe: Recipe, vgg: nst.Vgg, whole: Rate) -> Iterator[Row]:
    less = rate(recipe, vgg, setting.sizes)
    yield Row(what, less.median, "steps/s", note=f"{whole.median / less.median:.3g} × with it; {less.note}")


def tried(setting: Setting) -> Iterator[Found | Finding]:
    """`painterly` with the kernels that cuDNN finds by trying. In a process of its own, in which none is chosen yet."""
    for width_px in setting.sizes.switched_px:
        yield from setting.case(f"{width_px} px", _tried(setting, width_px))


def _tried(setting: Setting, width_px: int) -> Iterator[Row]:
    recipe = sized("painterly", height_of(width_px), width_px)
    found = rate(recipe, setting.trusted_vgg, setting.sizes, usual=False)
    yield Row(f"{width_px} px, kernels found by trying", found.median, "steps/s", note=found.note)


def rate(recipe: Recipe, vgg: nst.Vgg, sizes: Sizes, *, usual: bool = True) -> Rate:
    """Of whole slices of steps, each waited for; the first steps don't count."""
    run = warmed(recipe, vgg, usual=usual)
    step_s = run.advance(2) / 2
    steps = max(1, round(sizes.slice_s / step_s))
    rates = [steps / run.advance(steps) for _ in range(sizes.slices)]
    return Rate(statistics.median(rates), min(rates), max(rates))


def warmed(recipe: Recipe, vgg: nst.Vgg, *, usual: bool = True) -> Run:
    """A run whose first steps are made, with the kernels that a run of the recipe's own number of steps has.

    cuDNN keeps the kernel that it chose for a shape as long as the process lives, and a run of many steps has it try
    them all.
    """
    assert recipe.height_px and recipe.width_px
    content = content_of(recipe.height_px, recipe.width_px)
    if usual:
        Run(content, style(), replace(recipe, steps=RECIPES[recipe.name].steps), vgg).advance(1)
    run = Run(content, style(), recipe, vgg)
    run.advance(WARM_STEPS)
    return run
