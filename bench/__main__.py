"""Runs measurements, prints their tables, writes build/bench/, and says at the end what was missed.

`python -m bench` runs the quick ones, `python -m bench NAME …` just those, `python -m bench all` every one of them.
`--smoke` takes tiny counts and sizes, to see that everything runs: its numbers mean nothing. `--full` adds the
sizes that take an hour. `python -m bench gpu --out FOLDER` asks a GPU everything in nine minutes, on a machine that has
little but torch; it has options of its own and isn't among all.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import report
from bench.gpu import command as gpu
from impasto_server.engine.local.environment import PAINTING


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measurement takes instead of its own defaults. It is the `measure` of the module of its name."""

    smoke: Mapping[str, Any]
    full: Mapping[str, Any] = field(default_factory=dict)
    quick: bool = False


_SMALL = {"height_px": 48, "width_px": 64}

BENCHES = {
    "startup": Bench({"repeats": 1, "install": False}, quick=True),
    "streaming": Bench(
        {"pairs": 1, **_SMALL, "steps": 6, "painting_px": 64, "painting_steps": 4, "first_looks": 1, "threads": 1},
        quick=True,
    ),
    "throughput": Bench(
        {"sizes_px": (48, 64), "slices": 1, "slice_s": 0.01},
        {"sizes_px": (256, 512, 1024, 2048, 4096)},
        quick=True,
    ),
    "tiles": Bench({"height_px": 96, "width_px": 144, "tile_px": 64, "turns": 1}, quick=True),
    "memory": Bench(
        {"sizes_px": (128,), "tile_px": 64},
        {"sizes_px": (512, 1024, 2048, 4096, 8192)},
    ),
    "convergence": Bench(
        {"pairs": 1, "repeats": 2, **_SMALL, "steps": 6, "own_steps": 6, "slice_steps": 3, "textbook_slice_steps": 1},
        {"pairs": 10, "choose": "unseen", "repeats": 1, "height_px": 180, "width_px": 240},
    ),
    "peers": Bench({"size_px": 64, "steps": 4, "own_steps": 6, "slice_steps": 2}, {"steps": 1000}),
    "faults": Bench({"parts": "smoke"}),
    "trace": Bench({"recipes": ("classic",), "sizes_px": (48, 64)}, quick=True),
}


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["gpu"]:
        return gpu.main(arguments[1:])
    options = _options(arguments)
    from impasto_server import nst  # torch takes its time, and `gpu` leaves it to its children

    names = list(BENCHES) if options.smoke else [name for name, bench in BENCHES.items() if bench.quick]
    if options.names:
        names = list(BENCHES) if "all" in options.names else options.names
    device = nst.pick_device(options.device)
    nst.set_up(device)
    chosen: dict[str, Any] = {"device": device}
    chosen |= {"recipe": options.recipe} if options.recipe else {}
    missed = 0
    for name in names:
        bench = BENCHES[name]
        measure = importlib.import_module(f"bench.{name}").measure
        accepted = inspect.signature(measure).parameters
        settings = bench.smoke if options.smoke else bench.full if options.full else {}
        settings = {**{key: value for key, value in chosen.items() if key in accepted}, **settings}
        missed += report.publish(name, measure(**settings), options.output)
    print(f"\n{missed} goals missed" if missed else "\nall goals met")
    return 0


def _enter_a_workers_environment() -> None:
    """Starts again in the environment that a worker finds: the textbook and the peer profit from it like ourselves."""
    if wanting := PAINTING.keys() - os.environ.keys():
        print(f"setting {', '.join(sorted(wanting))}, as for a worker", flush=True)
        command = [sys.executable, "-m", "bench", *sys.argv[1:]]
        os.execve(sys.executable, command, {**PAINTING, **os.environ})  # noqa: S606 - no shell is meant


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHES)}, or all; or gpu")
    parser.add_argument("--smoke", action="store_true", help="tiny counts and sizes; everything unless named")
    parser.add_argument("--full", action="store_true", help="also the sizes that take an hour")
    parser.add_argument("--device", help="cpu, cuda:0, mps; left out: the best there is")
    parser.add_argument("--recipe", help="the recipe to measure; left out: each measurement's own")
    parser.add_argument("--output", type=Path, help="folder of the results")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in {*BENCHES, "all"}]:
        parser.error(f"there is no measurement {', '.join(unknown)}; expected {', '.join(BENCHES)} or all")
    options.output = options.output or (report.FOLDER / "smoke" if options.smoke else report.FOLDER)
    return options


if __name__ == "__main__":
    _enter_a_workers_environment()
    sys.exit(main())
