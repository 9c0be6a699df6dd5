"""One run in a process of its own, and the most memory it ever held: `python -m bench.peak DEVICE RECIPE SIDE TILE`.

It makes as many steps at its full size as a whole run's optimiser needs to remember all that it ever will there.

Prints JSON: bytes of everything, of these the bytes that were there before the picture came (interpreter, torch,
VGG-19), and seconds a step.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from bench.clock import synchronise
from bench.pictures import filled, painting, photo
from impasto_server import nst
from impasto_server.recipes import customise, plan


def main() -> None:
    """Paints a square picture of SIDE pixels in tiles of TILE pixels."""
    name, recipe_name, side_px, tile_px = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:5])
    device = torch.device(name)
    nst.set_up(device)
    vgg = nst.load_vgg("original", device)
    whole_run = customise(recipe_name, {"size_px": side_px, "tile_px": tile_px})
    steps = 1 if whole_run.optimiser == "adam" else 1 + whole_run.remembered_in(plan(whole_run, side_px, side_px)[-1])
    recipe = replace(whole_run.at_one_scale(), steps=steps)
    before = resident_bytes() if device.type == "cpu" else 0
    content = (255 * filled(photo("astronaut"), side_px, side_px)).to(torch.uint8)  # as the worker has it
    style = painting("night-swirl")
    began = time.perf_counter()
    for _ in nst.stylize(content, [(style, 1.0)], recipe, vgg=vgg):
        pass
    synchronise(device)
    seconds = (time.perf_counter() - began) / steps
    print(json.dumps({"peak": peak_bytes(device), "before": before, "step_s": seconds}))


def peak_bytes(device: torch.device) -> int:
    """The most that was held at once: by the allocator on CUDA, by the process elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        return _status_bytes("VmHWM")
    except OSError:
        # On Linux this would be the parent's peak, where that was higher: it survives exec. VmHWM doesn't.
        scale = 1 if sys.platform == "darwin" else 1024
        return scale * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def resident_bytes() -> int:
    """What the process holds now; 0 where the system doesn't tell."""
    try:
        return _status_bytes("VmRSS")
    except OSError:
        return 0


def _status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
