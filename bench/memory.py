"""Peak memory by size, in one piece and in tiles.

Each number comes from a fresh process (`bench.peak`) that paints a square picture at its full size, targets
included, until its optimiser remembers all that it ever will there: the most that is ever needed. On a CPU it is the
process's highest resident memory, interpreter, torch and VGG-19 included; on CUDA the allocator's. In one piece
only where it fits: a size is left out when the memory that smaller ones took, per pixel, isn't free.

Noise: little. Resident memory depends on when the allocator gives pages back, which moves it by some ten megabytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

import torch

from bench.report import Chart, Found, Line, Row, at_most
from impasto_server.nst.memory import free_memory_bytes
from impasto_server.recipes import customise

UNTILED_PX = 16384
GOALS_GB = {"cpu": 4.0, "cuda": 6.0}
_CHILD_TIMEOUT_S = 3600


def measure(
    *,
    device: torch.device,
    recipe: str = "classic",
    sizes_px: Sequence[int] = (512, 1024, 2048, 4096),
    tile_px: int = 1024,
) -> Iterator[Found]:
    """Untiled and tiled, size by size."""
    customise(recipe, {"tile_px": tile_px})  # says so at once if either isn't there
    whole: dict[int, float] = {}
    tiled: dict[int, float] = {}
    for size_px in sizes_px:
        if _fits(size_px, whole, device):
            row, whole[size_px] = _peak(device, recipe, size_px, UNTILED_PX)
            yield row
        else:
            print(f"  {size_px} px in one piece is left out: there isn't enough memory", flush=True)
        if size_px > tile_px:
            row, tiled[size_px] = _peak(device, recipe, size_px, tile_px)
            yield row
    yield from _goals(tiled, device)
    lines = [Line("in one piece", tuple(map(float, whole)), tuple(whole.values()))]
    if tiled:
        lines.append(Line(f"in tiles of {tile_px} px", tuple(map(float, tiled)), tuple(tiled.values())))
    goal = {"goal at 4096 px": GOALS_GB[device.type]} if device.type in GOALS_GB else {}
    title = f"Peak memory of a square picture, {recipe}"
    yield Chart(title, "side, px", "GB", tuple(lines), goal, log_x=True, log_y=True)


def _peak(device: torch.device, recipe: str, size_px: int, tile_px: int) -> tuple[Row, float]:
    command = [sys.executable, "-m", "bench.peak", str(device), recipe, str(size_px), str(tile_px)]
    child = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=_CHILD_TIMEOUT_S)
    found = json.loads(child.stdout)
    gigabytes = found["peak"] / 1e9
    how = "in one piece" if tile_px >= size_px else f"in tiles of {tile_px} px"
    before = f"{found['before'] / 1e9:.2f} GB before it; " if found["before"] else ""
    note = f"{before}{found['step_s']:.3g} s a step, targets included"
    return Row(f"{size_px} × {size_px} px, {how}", gigabytes, "GB", note=note), gigabytes


def _goals(tiled: dict[int, float], device: torch.device) -> Iterator[Row]:
    if 4096 not in tiled or device.type not in GOALS_GB:
        return
    yield at_most("4096 × 4096 px", tiled[4096], GOALS_GB[device.type], "GB")
    if 8192 in tiled:
        limit = 1.25 * tiled[4096] + 40 * 8192**2 / 1e9
        yield at_most("8192 × 8192 px", tiled[8192], round(limit, 2), "GB", "1.25 × 4096 px + 40 B a pixel")


def _fits(size_px: int, whole: Mapping[int, float], device: torch.device) -> bool:
    if not whole:
        return True
    largest_px = max(whole)
    free = free_memory_bytes(device)
    return free is None or 1e9 * whole[largest_px] * (size_px / largest_px) ** 2 < 0.9 * free
