"""Steps a second by size and recipe, and what share of the machine's limit that is.

The limit is a step that consists of nothing but its convolutions, made at the rate of large matrix products: forward to
the recipe's deepest layer and the gradient back to the picture, 2 FLOP a multiplication, counted from the weights'
shapes. Gram matrices, ReLUs, pooling, borders, losses and the optimiser count as overhead, so a share of 100 % is out
of reach for direct convolution (Winograd's would exceed it). For float32 the rate is sgemm's, else bfloat16's, both
measured in the same run: before and after each slice of steps, as clocks and neighbours change. A share is the median
over the slices. Copy bandwidth is there to explain, not to compare: at small channel counts a convolution is limited by
memory, not by arithmetic. Pictures are painted in one piece: the limit knows of no tiles, which compute everything
twice (`bench.tiles` says what they cost).

Noise: a slice lasts about a second; other processes on the same cores hit steps and products alike, but not equally.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from bench.limits import Limits
from bench.memory import UNTILED_PX
from bench.ours import Run
from bench.pictures import filled, painting, photo
from bench.report import Chart, Found, Line, Row, at_least
from impasto_server import nst
from impasto_server.nst.devices import fastest_precision
from impasto_server.recipes import CONVOLUTIONS, LAST_OF_BLOCK, LAYERS, RECIPES, Recipe, customise

PROPORTIONS = 2 / 3
"""Height over width of what is painted; sizes are those of the long side."""


def measure(
    *,
    device: torch.device,
    recipes: Sequence[str] = ("classic", "fast-classic", "painterly"),
    sizes_px: Sequence[int] = (256, 512, 1024, 2048),
    slices: int = 5,
    slice_s: float = 1.0,
) -> Iterator[Found]:
    """Recipe by recipe, size by size."""
    vgg = nst.load_vgg("original", device)
    limits = Limits(device)
    reduced = fastest_precision(device)
    rates = {"sgemm": (torch.float32, "GFLOP/s"), "bfloat16 matrix product": (torch.bfloat16, "GFLOP/s")}
    for name, (dtype, unit) in rates.items():
        yield Row(name, limits.matmul_flops(dtype) / 1e9, unit)
    yield Row("copying", limits.copy_bytes() / 1e9, "GB/s")
    found: dict[str, dict[int, Rate]] = {}
    for recipe in _cases(recipes, reduced):
        dtype = reduced if recipe.precision != "exact" else torch.float32
        label = f"{recipe.name}, {_PRECISIONS[dtype]}"
        for size_px in sizes_px:
            sized = dataclasses.replace(recipe, size_px=size_px, height_px=None, width_px=None)
            rate = _rate(sized, vgg, limits, dtype, slices, slice_s)
            found.setdefault(label, {})[size_px] = rate
            yield _row(label, size_px, rate, recipe.name, dtype, device)
    if device.type == "cuda":
        yield _at_the_books_size(vgg, limits, reduced, slices, slice_s)
    yield from _charts(found)


@dataclass(frozen=True, slots=True)
class Rate:
    """Steps a second, and the share of what the machine's matrix products would allow, median of slices."""

    steps_per_s: float
    share: float


_PRECISIONS = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}


def _cases(names: Sequence[str], reduced: torch.dtype) -> Iterator[Recipe]:
    """Each recipe at one scale as it is; the textbook also in the fastest precision, if that is another one."""
    for name in names:
        if name not in RECIPES:
            print(f"  NOTICE: there is no recipe {name} here; it is left out", flush=True)
            continue
        recipe = customise(name, {"size_px": 512, "steps": 10_000, "tile_px": UNTILED_PX}).at_one_scale()
        yield recipe
        if name == "classic" and reduced != torch.float32:
            yield dataclasses.replace(recipe, precision="fastest")


def _rate(recipe: Recipe, vgg: nst.Vgg, limits: Limits, dtype: torch.dtype, slices: int, slice_s: float) -> Rate:
    assert recipe.longest_px
    width_px = recipe.longest_px
    height_px = recipe.height_px or round(PROPORTIONS * width_px)
    content = filled(photo("coffee"), height_px, width_px)
    run = Run(content, painting("night-swirl"), recipe, vgg)
    run.advance(1)  # targets, and whatever is compiled
    step_s = run.advance(1)
    steps = min(max(1, round(slice_s / step_s)), recipe.steps // (slices + 2))
    if steps > 1:
        run.advance(steps)  # caches and clocks
    flop = step_flop(recipe, vgg, height_px, width_px)
    shares, rates = [], []
    before = limits.matmul_flops(dtype)
    for _ in range(slices if step_s < 10 * slice_s else 1):
        rates.append(steps / run.advance(steps))
        after = limits.matmul_flops(dtype)
        shares.append(rates[-1] * flop / ((before + after) / 2))
        before = after
    return Rate(statistics.median(rates), statistics.median(shares))


def step_flop(recipe: Recipe, vgg: nst.Vgg, height_px: int, width_px: int) -> float:
    """FLOP of a step's convolutions: forward to the deepest layer that the recipe reads, and back to the picture."""
    deepest = max(LAYERS.index(layer) for layer in (*recipe.content_layers, *recipe.style_layers))
    multiplications = 0
    for name in CONVOLUTIONS:
        if LAYERS.index(name) > deepest:
            break
        multiplications += vgg.convolutions[name].weight.numel() * height_px * width_px
        if name in LAST_OF_BLOCK:
            odd = recipe.pooling == "average"  # keeps the last row and column of an odd side
            height_px, width_px = (height_px + odd) // 2, (width_px + odd) // 2
    return 2.0 * 2.0 * multiplications


def _row(label: str, size_px: int, rate: Rate, recipe: str, dtype: torch.dtype, device: torch.device) -> Row:
    """Held to a goal: the textbook at 512 px on a CPU in float32; at 2048 px on CUDA in the fastest precision."""
    what, share = f"{label}, {size_px} px", 100 * rate.share
    limit = "sgemm" if dtype == torch.float32 else "bfloat16"
    note = f"share of the {limit} limit; {rate.steps_per_s:.3g} steps/s"
    if device.type == "cpu" and recipe == "classic" and size_px == 512 and dtype == torch.float32:
        return at_least(what, share, 85, "%", note)
    if device.type == "cuda" and size_px == 2048 and dtype != torch.float32:
        return at_least(what, share, 50, "%", note)
    return Row(what, share, "%", note=note)


def _at_the_books_size(vgg: nst.Vgg, limits: Limits, reduced: torch.dtype, slices: int, slice_s: float) -> Row:
    name = "fast-classic" if "fast-classic" in RECIPES else "classic"
    recipe = customise(name, {"height_px": 300, "width_px": 450, "steps": 10_000}).at_one_scale()
    rate = _rate(dataclasses.replace(recipe, precision="fastest"), vgg, limits, reduced, slices, slice_s)
    return at_least(f"{name}, {_PRECISIONS[reduced]}, 300 × 450", rate.steps_per_s, 300, "steps/s")


def _charts(found: Mapping[str, Mapping[int, Rate]]) -> Iterator[Chart]:
    rates, shares = [], []
    for label, sizes in found.items():
        x = tuple(map(float, sizes))
        rates.append(Line(label, x, tuple(rate.steps_per_s for rate in sizes.values())))
        shares.append(Line(label, x, tuple(100 * rate.share for rate in sizes.values())))
    sides = "long side, px"
    yield Chart("Steps a second", sides, "steps/s", tuple(rates), log_x=True, log_y=True)
    yield Chart("Share of the matrix products' rate", sides, "%", tuple(shares), {"the limit": 100.0}, log_x=True)
