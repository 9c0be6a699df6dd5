"""Each shortcut against plain float32 on the device, and plain float32 against float64 on the CPU.

What is compared is how far the first step takes the picture, which is the gradient as the optimiser sees it, and the
losses of the fifth step. With Adam a first step is little more than the gradient's sign, so `classic` is judged by its
losses alone. Replaying is held to every bit.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.gpu.ledger import Finding
from bench.gpu.setting import Setting, content_of, height_of, sized, style
from bench.report import Found, Row, at_most
from impasto_server import nst
from impasto_server.nst.pictures import normalised
from impasto_server.nst.shortcuts import NO_SHORTCUTS
from impasto_server.recipes import Recipe

LOSSES_AFTER = 5
RECORDED_STEPS = 8
"""Three before the recording, and a few replays."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a first step may lie apart, in units of its length, and the losses, in units of themselves."""

    step: float
    losses: float


FLOAT32 = Tolerance(1e-3, 2e-3)
REDUCED = Tolerance(0.15, 0.05)
"""bfloat16's gradients had a cosine of 0.994 to 0.997."""
FLOAT64 = {"textbook": FLOAT32, "relative": Tolerance(0.1, 0.2)}
"""By objective. What the relative style adds to a covariance against rounding depends on the type."""


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """How far a step took the picture, (1, 3, H, W) in float64 on the CPU, and later losses' sum."""

    moved: Tensor
    total: float


def measure(setting: Setting) -> Iterator[Found | Finding]:
    """Recipe by recipe."""
    wanted = setting.vgg.shortcuts
    plain = replace(setting.vgg, shortcuts=NO_SHORTCUTS)
    exact = {
        "fused, float32": replace(NO_SHORTCUTS, fused=wanted.fused),
        "own kernels, float32": replace(NO_SHORTCUTS, own_kernels=wanted.own_kernels),
    }
    reduced = {
        "reduced": replace(NO_SHORTCUTS, reduced=wanted.reduced),
        "all but recorded": replace(wanted, recorded=False),
    }
    for name in ("painterly", "fast-classic", "classic"):
        width_px = setting.sizes.correct_px
        recipe = replace(sized(name, height_of(width_px), width_px), precision="exact")
        reference = _painted(plain, recipe)
        for dtype, most in ((torch.float64, FLOAT64[recipe.objective]), (torch.float32, FLOAT32)):
            what = f"{name}: plain float32 against {str(dtype).removeprefix('torch.')} on the CPU"
            truth = _painted(_on_the_cpu(dtype), recipe, dtype)
            yield from setting.case(what, _rows(what, reference, truth, most, recipe))
        for cases, precision, most in ((exact, "exact", FLOAT32), (reduced, "fastest", REDUCED)):
            for what, shortcuts in cases.items():
                if shortcuts == NO_SHORTCUTS:
                    yield Finding(what=f"{name}: {what}", state="skipped", note="not trusted with it to begin with")
                    continue
                vgg, case = replace(plain, shortcuts=shortcuts), f"{name}: {what} against plain"
                yield from setting.case(
                    case, _against(case, vgg, replace(recipe, precision=precision), reference, most)
                )
        for precision in ("exact", "fastest"):
            case = f"{name}: numbers that differ when steps are replayed, {precision}"
            yield from setting.case(case, _recorded(case, setting.vgg, replace(recipe, precision=precision)))


def _against(case: str, vgg: nst.Vgg, recipe: Recipe, reference: Painted, most: Tolerance) -> Iterator[Row]:
    yield from _rows(case, _painted(vgg, recipe), reference, most, recipe)


def _rows(what: str, found: Painted, reference: Painted, most: Tolerance, recipe: Recipe) -> Iterator[Row]:
    if recipe.optimiser != "adam":
        apart = float((found.moved - reference.moved).norm() / reference.moved.norm())
        yield at_most(f"{what}, first step", apart, most.step, "")
    away = abs(found.total / reference.total - 1)
    yield at_most(f"{what}, losses of step {LOSSES_AFTER}", 100 * away, 100 * most.losses, "%")


def _recorded(case: str, vgg: nst.Vgg, recipe: Recipe) -> Iterator[Row]:
    pictures = []
    for shortcuts in (replace(vgg.shortcuts, recorded=False), vgg.shortcuts):
        *_, last = _steps(replace(vgg, shortcuts=shortcuts), recipe, RECORDED_STEPS)
        pictures.append(last.checkpoint().tensors["picture"])
    differing = int((pictures[0] != pictures[1]).sum())
    yield at_most(case, differing, 0, "", f"of {pictures[0].numel()}")


def _painted(vgg: nst.Vgg, recipe: Recipe, dtype: torch.dtype = torch.float32) -> Painted:
    first, total = None, 0.0
    for step in _steps(vgg, recipe, LOSSES_AFTER, dtype):
        total = step.losses().total
        if first is None:
            first = step.checkpoint().tensors["picture"].double()
    assert first is not None
    return Painted(first - _begun(recipe), total)


def _begun(recipe: Recipe) -> Tensor:
    assert recipe.height_px and recipe.width_px
    return normalised(content_of(recipe.height_px, recipe.width_px).double() / 255)


def _steps(vgg: nst.Vgg, recipe: Recipe, steps: int, dtype: torch.dtype = torch.float32) -> Iterator[nst.Step]:
    assert recipe.height_px and recipe.width_px
    content = content_of(recipe.height_px, recipe.width_px).to(dtype) / 255
    yield from nst.stylize(content, [(style().to(dtype), 1.0)], replace(recipe, steps=steps), vgg=vgg)


@functools.cache
def _on_the_cpu(dtype: torch.dtype) -> nst.Vgg:
    vgg = nst.load_vgg("original", torch.device("cpu"))
    convolutions = {name: convolution.to(dtype) for name, convolution in vgg.convolutions.items()}
    return replace(vgg, convolutions=convolutions, shortcuts=NO_SHORTCUTS)
