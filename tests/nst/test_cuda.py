"""What only a GPU can show: each shortcut against plain kernels, memory, previews beside recorded steps, lost devices.

Every body that can is rehearsed on the CPU too, where there is nothing to record and nothing to run out of: so that it
doesn't end at a typo on the first GPU that it meets. Nothing here needs a fixture or a picture from elsewhere:
`python -m bench gpu` runs it on machines that have little but torch.
"""

from __future__ import annotations

import asyncio
import functools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from bench.gpu.memory import estimated_bytes, taken_bytes
from impasto_server import nst
from impasto_server.engine import (
    Blob,
    Checkpointed,
    End,
    Failed,
    Finished,
    Joined,
    LocalEngine,
    Lost,
    Presence,
    PreviewRequest,
    Report,
    Steer,
    Task,
)
from impasto_server.engine.local.pipe import LocalFiles
from impasto_server.engine.painter import Painter
from impasto_server.gallery import GALLERY
from impasto_server.nst.network import Network
from impasto_server.nst.pictures import normalised
from impasto_server.nst.tile_sides import SHARES
from impasto_server.recipes import Recipe, customise

CUDA = torch.cuda.is_available()
HEIGHT_PX, WIDTH_PX = 45, 61
"""No multiples of anything."""
PAINTINGS = {entry.name: entry.path for entry in GALLERY}
STEPS = 8
"""Three before the recording, and five replays."""
RECIPES = ("painterly", "fast-classic", "classic")

no_gpu = pytest.mark.skipif(not CUDA, reason="there is no CUDA device here")


@pytest.fixture(
    params=[pytest.param("cuda:0", marks=no_gpu, id="cuda"), pytest.param("cpu", id="rehearsed on the CPU")]
)
def device(request: pytest.FixtureRequest) -> torch.device:
    """Set up as a worker does."""
    found = torch.device(request.param)
    nst.set_up(found)
    return found


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every replayed step."""
    made: list[int] = []
    original = torch.cuda.CUDAGraph.replay

    def counted(graph: torch.cuda.CUDAGraph) -> None:
        made.append(1)
        original(graph)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", counted)
    return made


# Recorded steps


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("precision", ["exact", "fastest"])
def test_recorded_steps_paint_the_same_picture_to_the_bit(
    device: torch.device, name: str, precision: str, replays: list[int]
) -> None:
    recipe = replace(small(name), precision=precision)
    recorded, plain = (painted(trusting(device, recorded=each), recipe) for each in (device.type == "cuda", False))
    assert len(replays) == (STEPS - 3 if device.type == "cuda" else 0)
    assert torch.equal(recorded, plain)


def test_each_scale_is_recorded_anew(device: torch.device, replays: list[int]) -> None:
    recipe = replace(small("painterly", steps=18), coarsest_px=WIDTH_PX // 2)
    recorded, plain = (painted(trusting(device, recorded=each), recipe) for each in (device.type == "cuda", False))
    assert len(replays) == (18 - 2 * 3 if device.type == "cuda" else 0)
    assert torch.equal(recorded, plain)


def test_weights_can_be_changed_between_recorded_steps(device: torch.device) -> None:
    pictures = []
    for recorded in (device.type == "cuda", False):
        run = nst.stylize(photo(), [(style(), 1.0)], small("painterly"), vgg=trusting(device, recorded=recorded))
        next(run)
        for number in range(2, STEPS + 1):
            step = run.send(nst.Steering(style_weight=200.0) if number == 6 else None)
        pictures.append(step.checkpoint().tensors["picture"])
    assert torch.equal(*pictures)
    assert not torch.equal(pictures[0], painted(trusting(device), small("painterly")))


def test_a_preview_fetched_at_any_time_disturbs_neither_recording_nor_replay(
    device: torch.device, replays: list[int]
) -> None:
    recipe = small("painterly", steps=40)
    latest: list[nst.Look] = []
    fetched: list[Tensor] = []
    failures: list[BaseException] = []
    over = threading.Event()

    def fetch_forever() -> None:
        try:
            while not over.is_set():
                if latest:
                    fetched.append(latest[-1].image())
        except BaseException as error:
            failures.append(error)

    watcher = threading.Thread(target=fetch_forever)
    watcher.start()
    try:
        for step in nst.stylize(photo(), [(style(), 1.0)], recipe, vgg=vgg_on(device)):
            latest.append(step.look(WIDTH_PX))
    finally:
        over.set()
        watcher.join()
    assert not failures
    assert fetched
    assert bool(replays) == (device.type == "cuda")
    assert torch.equal(latest[-1].image(), step.image())
    assert torch.equal(step.checkpoint().tensors["picture"], painted(vgg_on(device), recipe))


def test_no_room_for_a_recording_costs_nothing_but_time(
    device: torch.device, replays: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(torch.cuda.graph):
        def __exit__(self, *error: Any) -> None:
            super().__exit__(*error)
            raise torch.OutOfMemoryError("CUDA out of memory: as if there was no room for the recording")

    monkeypatch.setattr(torch.cuda, "graph", Full)
    *_, last = nst.stylize(photo(), [(style(), 1.0)], small("painterly"), vgg=vgg_on(device))
    assert last.step == STEPS
    assert last.tile_px is None
    assert not replays
    plain = painted(trusting(device, recorded=False), small("painterly"))
    assert torch.equal(last.checkpoint().tensors["picture"], plain)


# Kernels and types


@pytest.mark.parametrize("name", RECIPES)
def test_fused_convolutions_read_nothing_that_was_not_written(device: torch.device, name: str) -> None:
    recipe = replace(small(name, steps=1), precision="exact")
    plain = moved(trusting(device, nst.NO_SHORTCUTS), recipe)
    poison(device)
    fused = moved(trusting(device, replace(nst.NO_SHORTCUTS, fused=True)), recipe)
    assert apart(fused, plain) < (1e-3 if recipe.optimiser == "l-bfgs" else 0.1)


@pytest.mark.parametrize("name", RECIPES)
def test_with_every_shortcut_nothing_is_read_that_was_not_written(device: torch.device, name: str) -> None:
    recipe = replace(small(name), precision="fastest")
    clean = painted(vgg_on(device), recipe)
    poison(device)
    assert torch.equal(painted(vgg_on(device), recipe), clean)


@pytest.mark.parametrize("name", RECIPES)
def test_our_own_kernels_agree_with_plain_ones(device: torch.device, name: str) -> None:
    recipe = replace(small(name, steps=1), precision="exact")
    own = replace(nst.NO_SHORTCUTS, own_kernels=vgg_on(device).shortcuts.own_kernels)
    plain = moved(trusting(device, nst.NO_SHORTCUTS), recipe)
    poison(device)
    assert apart(moved(trusting(device, own), recipe), plain) < (1e-3 if recipe.optimiser == "l-bfgs" else 0.1)


@pytest.mark.parametrize("name", ["painterly", "fast-classic"])
def test_reduced_precision_goes_the_same_way(device: torch.device, name: str) -> None:
    recipe = small(name, steps=1)
    plain = moved(trusting(device, nst.NO_SHORTCUTS), recipe)
    reduced = moved(vgg_on(device), recipe)
    assert float(torch.cosine_similarity(reduced.flatten(), plain.flatten(), dim=0)) > 0.98


@pytest.mark.parametrize("name", ["painterly", "fast-classic"])
def test_float32_means_float32(device: torch.device, name: str) -> None:
    recipe = replace(small(name, steps=1), precision="exact")
    on_the_cpu = moved(trusting(torch.device("cpu"), nst.NO_SHORTCUTS), recipe)
    # TensorFloat-32, with three bits more than bfloat16's, would be off by 4e-3 and more; float32's rounding by 1e-5.
    assert apart(moved(trusting(device, nst.NO_SHORTCUTS), recipe), on_the_cpu) < 1e-3


def test_losses_are_those_of_the_cpu(device: torch.device) -> None:
    recipe = replace(small("classic", steps=5), precision="exact")
    there, here = (losses(trusting(where, nst.NO_SHORTCUTS), recipe) for where in (device, torch.device("cpu")))
    assert there == pytest.approx(here, rel=2e-3)


def test_the_device_is_trusted_with_all_it_is_made_for(device: torch.device) -> None:
    assert nst.check_shortcuts(vgg_on(device)) == (vgg_on(device).shortcuts, ())


# Memory


def test_a_picture_that_does_not_fit_arrives_in_tiles(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    side_px = 1024 if device.type == "cuda" else 160
    recipe = customise("painterly", {"size_px": side_px, "steps": 2, "coarsest_px": side_px})
    with little_memory(device, monkeypatch):
        steps = list(nst.stylize(photo(side_px, side_px), [(style(), 1.0)], recipe, vgg=vgg_on(device)))
        picture = steps[-1].checkpoint().tensors["picture"]
    assert any(step.ran_out_of_memory for step in steps)
    assert steps[-1].tile_px is not None
    assert picture.isfinite().all()
    assert steps[-1].step == 2


@pytest.mark.parametrize("name", ["painterly", "classic"])
def test_a_picture_takes_no_more_than_was_estimated(device: torch.device, name: str) -> None:
    side_px = 1024 if device.type == "cuda" else 64
    recipe = customise(name, {"height_px": side_px, "width_px": side_px, "steps": 50}).at_one_scale()
    _, reserved = taken_bytes(recipe, vgg_on(device))
    estimate = estimated_bytes(recipe, vgg_on(device))
    assert estimate > side_px**2 * 56
    if device.type == "cuda":  # elsewhere the process's numbers hold much besides
        assert reserved < estimate / SHARES["cuda"] + 2**26


# More than one device, and fewer


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is no second CUDA device here")
def test_the_second_gpu_paints_and_records_what_the_first_does(replays: list[int]) -> None:
    pictures = []
    for name in ("cuda:0", "cuda:1"):
        device = nst.pick_device(name)
        nst.set_up(device)
        pictures.append(moved(vgg_on(device), small("painterly")))
        assert len(replays) == STEPS - 3
        replays.clear()
    nst.set_up(torch.device("cuda:0"))
    assert apart(pictures[1], pictures[0]) < 0.05  # two GPUs may be of two kinds


LOSING = """
import sys
import torch
from impasto_server import nst
device = nst.pick_device(sys.argv[1])
nst.set_up(device)
assert nst.is_alive(device)
try:
    torch.zeros(4, device=device)[torch.tensor([100], device=device)].cpu()
except (RuntimeError, IndexError) as error:
    print(type(error).__name__, error)
sys.exit(0 if nst.is_alive(device) else 42)
"""
"""An index out of bounds: CUDA's kernel ends with an assertion, and the process's context with it."""


def test_a_device_that_is_lost_to_the_process_is_known_as_such(device: torch.device) -> None:
    command = [sys.executable, "-c", LOSING, str(device)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert child.returncode == (42 if device.type == "cuda" else 0), child.stdout + child.stderr
    assert child.stdout.strip()
    assert nst.is_alive(device)  # for this process


BREAKING = """
import sys
from pathlib import Path

if any("engine.local.worker" in argument for argument in sys.orig_argv):
    import torch
    from impasto_server import nst
    from impasto_server.nst.recorder import Recorder

    flag, step = Path({flag!r}), Recorder.step

    def failing(self, weights):
        if flag.exists() and self._steps_made == 2:
            {harm}
        return step(self, weights)

    Recorder.step = failing
"""
"""Imported by the worker's Python at its start."""

HARM = {
    "cuda": 'torch.zeros(4, device="cuda")[torch.tensor([100], device="cuda")]',
    "cpu": 'nst.is_alive = lambda device: False; raise RuntimeError("as if the device was lost")',
}


def test_a_worker_whose_device_is_lost_ends_and_the_next_one_paints(
    device: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag, site = tmp_path / "flag", tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(BREAKING.format(flag=str(flag), harm=HARM[device.type]))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH")))))

    async def lose_it_and_go_on() -> tuple[End, End]:
        engine = LocalEngine([str(device)])
        joined: asyncio.Queue[Joined] = asyncio.Queue()

        def tell(presence: Presence) -> None:
            if isinstance(presence, Joined):
                joined.put_nowait(presence)

        await engine.start(tell)
        try:
            await joined.get()
            flag.touch()
            lost = await whole_attempt(engine, str(device), tmp_path)
            flag.unlink()
            await joined.get()
            return lost, await whole_attempt(engine, str(device), tmp_path)
        finally:
            await engine.stop()

    lost, made = asyncio.run(lose_it_and_go_on())
    assert isinstance(lost, Lost), lost
    assert lost.reason == "crashed"
    assert "lost its device" in lost.message
    assert isinstance(made, Finished), made
    assert (made.step, made.partial) == (STEPS, False)


async def whole_attempt(engine: LocalEngine, worker_id: str, folder: Path) -> End:
    attempt = engine.begin(worker_id, a_task(), Gallery(folder), Gallery(folder))
    _ = [report async for report in attempt.reports()]
    assert attempt.end
    return attempt.end


class Gallery:
    """Blobs are the gallery's paintings, by name, and whatever is brought, where it is brought to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        return PAINTINGS[sha256]

    def scratch_path(self) -> Path:
        return self._folder / "scratch"

    async def adopt(self, blob: Blob) -> Blob:
        return replace(blob, path=None)


def test_a_picture_that_is_no_longer_finite_is_no_result(
    device: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Network.backward

    def broken(network: Network, *arguments: Any) -> tuple[Tensor, dict[str, Tensor]]:
        gradient, distances = original(network, *arguments)
        return gradient.fill_(torch.nan), distances

    monkeypatch.setattr(Network, "backward", broken)
    reports: list[Report] = []
    made = Painter(device, Nobody(), reports.append).attempt(a_task(), LocalFiles(PAINTINGS, tmp_path))
    assert isinstance(made, Failed), made
    assert made.reason == "DIVERGED"
    kept = {report.blob.path for report in reports if isinstance(report, Checkpointed)}
    assert {*tmp_path.iterdir()} == kept, "no picture was written"


def a_task() -> Task:
    return Task("lagoon-wash", (("night-swirl", 1.0),), small("painterly"))


class Nobody:
    """Asks for nothing."""

    cancelled = False
    previews = PreviewRequest()

    def take_steers(self) -> list[Steer]:
        return []


# What they are made of


def photo(height_px: int = HEIGHT_PX, width_px: int = WIDTH_PX) -> Tensor:
    return picture("lagoon-wash", height_px, width_px)


def style() -> Tensor:
    return picture("night-swirl", 101, 90)


@functools.cache
def picture(name: str, height_px: int, width_px: int) -> Tensor:
    """A painting of the gallery, stretched: uint8 (3, height, width)."""
    path = next(entry.path for entry in GALLERY if entry.name == name)
    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB").resize((width_px, height_px), Image.Resampling.BILINEAR))
    return torch.from_numpy(pixels).permute(2, 0, 1)


def small(name: str, *, steps: int = STEPS) -> Recipe:
    return customise(name, {"height_px": HEIGHT_PX, "width_px": WIDTH_PX, "steps": steps}).at_one_scale()


@functools.cache
def vgg_on(device: torch.device) -> nst.Vgg:
    """With every shortcut that such a device is made for."""
    return nst.load_vgg("original", device)


def trusting(device: torch.device, shortcuts: nst.Shortcuts | None = None, **changes: Any) -> nst.Vgg:
    """With these shortcuts, or with other ones than usual."""
    vgg = vgg_on(device)
    return replace(vgg, shortcuts=replace(shortcuts or vgg.shortcuts, **changes))


def painted(vgg: nst.Vgg, recipe: Recipe) -> Tensor:
    """The last picture, normalised, on the CPU."""
    *_, last = nst.stylize(photo(), [(style(), 1.0)], recipe, vgg=vgg)
    return last.checkpoint().tensors["picture"]


def moved(vgg: nst.Vgg, recipe: Recipe) -> Tensor:
    """How far a run takes the picture from the photo that it begins with."""
    return painted(vgg, recipe) - normalised(photo() / 255)


def losses(vgg: nst.Vgg, recipe: Recipe) -> list[float]:
    return [step.losses().total for step in nst.stylize(photo(), [(style(), 1.0)], recipe, vgg=vgg)]


def apart(one: Tensor, other: Tensor) -> float:
    """In units of the other's length; NaN stays NaN, which is below nothing."""
    return float((one - other).norm() / other.norm())


def poison(device: torch.device) -> None:
    """Leaves NaN in the memory that the allocator hands out next, in small blocks and in large ones."""
    blocks = [torch.full((2**17,), torch.nan, device=device) for _ in range(64)]
    large = 2**24 if device.type == "cuda" else 2**20
    blocks += [torch.full((large,), torch.nan, device=device) for _ in range(8)]
    del blocks


@contextmanager
def little_memory(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Too little for a picture of 1024 × 1024 in one piece; on the CPU, for one of 160 × 160."""
    vgg_on(device)
    if device.type == "cuda":
        torch.cuda.empty_cache()
        whole = torch.cuda.get_device_properties(device).total_memory
        allowed = torch.cuda.memory_reserved(device) + 700 * 2**20
        torch.cuda.set_per_process_memory_fraction(allowed / whole, device)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, device)
        return
    original = Network.forward

    def refusing(network: Network, picture: Tensor, **options: Any) -> Any:
        if picture.shape[-1] * picture.shape[-2] >= 160 * 160:
            raise torch.OutOfMemoryError("CUDA out of memory: as if there was no room for so much")
        return original(network, picture, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Network, "forward", refusing)
        yield
