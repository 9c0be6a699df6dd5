"""What a large square picture takes in one piece, held against the estimate that tiles are chosen by."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from bench.clock import synchronise
from bench.gpu.ledger import Finding
from bench.gpu.setting import Setting, content_of, sized, style
from bench.gpu.speed import WARM_STEPS
from bench.memory import UNTILED_PX
from bench.peak import resident_bytes
from bench.report import Found, Row, at_most
from impasto_server import nst
from impasto_server.nst.network import Network
from impasto_server.nst.tile_sides import SHARES, needed_bytes
from impasto_server.recipes import Recipe, plan


def measure(setting: Setting) -> Iterator[Found | Finding]:
    """Allocated and reserved, beyond what the network takes by itself."""
    side_px = setting.sizes.memory_px
    for name in ("painterly", "classic"):
        yield from setting.case(name, _held_against_the_estimate(setting, sized(name, side_px, side_px)))


def _held_against_the_estimate(setting: Setting, recipe: Recipe) -> Iterator[Row]:
    what = f"{recipe.name}, {recipe.width_px} × {recipe.height_px} px"
    allocated, reserved = taken_bytes(recipe, setting.trusted_vgg)
    estimate = estimated_bytes(recipe, setting.trusted_vgg)
    share = SHARES.get(setting.device.type, 0.5)
    yield Row(f"{what}, estimated", estimate / 1e9, "GB", note=f"may be {share:.0%} of what is free")
    yield Row(f"{what}, allocated", allocated / 1e9, "GB", note=f"{allocated / estimate:.2f} of the estimate")
    if setting.device.type == "cuda":
        note = f"{reserved / estimate:.2f} of the estimate; more would not fit where a picture just fits"
        yield at_most(f"{what}, reserved", reserved / 1e9, round(estimate / share / 1e9, 2), "GB", note)


def taken_bytes(recipe: Recipe, vgg: nst.Vgg) -> tuple[int, int]:
    """Most bytes allocated and reserved by the first steps and their recording, beyond what was there before."""
    device = vgg.device
    assert recipe.height_px and recipe.width_px
    content = content_of(recipe.height_px, recipe.width_px)
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    else:
        before = resident_bytes(), resident_bytes()
    steps = nst.stylize(content, [(style(), 1.0)], recipe, vgg=vgg, tile_px=UNTILED_PX)
    for step in steps:
        if step.step == WARM_STEPS:
            break
    synchronise(device)
    if device.type == "cuda":
        after = torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device)
    else:
        after = resident_bytes(), resident_bytes()
    steps.close()
    return after[0] - before[0], after[1] - before[1]


def estimated_bytes(recipe: Recipe, vgg: nst.Vgg) -> float:
    """As a run makes it when it begins."""
    assert recipe.height_px and recipe.width_px
    network = Network.of(recipe, vgg)
    *_, size = plan(recipe, recipe.height_px, recipe.width_px)
    return needed_bytes(size, network.bytes_per_pixel(), recipe)
