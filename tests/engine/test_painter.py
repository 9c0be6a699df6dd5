"""Tasks to reports, in this process: real weights, small pictures."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from skimage import data

from impasto_server import nst, recipes
from impasto_server.engine import (
    Failed,
    Finished,
    Noticed,
    PreviewDemand,
    Previewed,
    PreviewSpec,
    Progressed,
    Report,
    ResultFormat,
    Steer,
    Steering,
    Task,
    checkpoints,
)
from impasto_server.engine.painter import Painter
from impasto_server.nst.maps import Maps
from impasto_server.nst.network import Network
from tests import the_book

DRAFT = recipes.customise("draft", {"size_px": 64, "steps": 3})


class Wishes:
    """A watcher who wants to see everything, and nobody who interferes."""

    cancelled = False
    demand = PreviewDemand(frozenset({PreviewSpec(max_size_px=32)}), interval_s=0)

    def take_steers(self) -> list[Steer]:
        return []


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def reports() -> list[Report]:
    return []


@pytest.fixture
def painter(reports: list[Report]) -> Painter:
    return Painter(torch.device("cpu"), Wishes(), reports.append)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    photo = Image.fromarray(data.coffee()[::4, ::4]).convert("RGBA")
    photo.putalpha(Image.linear_gradient("L").resize(photo.size))
    photo.save(tmp_path / "photo.png")
    Image.fromarray(data.chelsea()[::4, ::4]).save(tmp_path / "style.png")
    return Task(
        tmp_path / "photo.png", ((tmp_path / "style.png", 1.0),), DRAFT, tmp_path / "output", tmp_path / "checkpoint"
    )


def test_a_task_is_shown_and_written(painter: Painter, task: Task, reports: list[Report]) -> None:
    assert painter.attempt(task) == Finished(3, partial=False)
    assert [report.step for report in reports if isinstance(report, Progressed)][-1] == 3
    looks = [report for report in reports if isinstance(report, Previewed)]
    assert {(look.width_px, look.height_px) for look in looks} == {(32, 21)}
    with Image.open(task.output) as painted:
        assert (painted.format, painted.mode, painted.size) == ("PNG", "RGBA", (64, 43))
        assert painted.getchannel("A").getpixel((5, 42)) > 240


@pytest.fixture(scope="module")
def book_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    return the_book.files(tmp_path_factory.mktemp("book"))


@pytest.fixture(scope="module")
def book(book_files: tuple[Path, Path, Path], one_thread: None) -> list[the_book.Seen]:
    """What the book's own code paints from these files, step by step."""
    return list(itertools.islice(the_book.painted(*book_files, 96, 144), 15))


@pytest.mark.parametrize(("steps", "least_db"), [(1, 60), (5, 45), (15, 35)])
def test_classic_paints_the_book_s_own_picture_from_file_to_file(
    steps: int,
    least_db: float,
    painter: Painter,
    task: Task,
    book_files: tuple[Path, Path, Path],
    book: list[the_book.Seen],
) -> None:
    """Rounding grows from step to step, as Adam divides by the gradient's size: after 5 steps the book's code with its
    maps in another memory layout is 55 dB from itself, and after 15 steps 44 dB; so is ours."""
    content, style, weights = book_files
    size = {"height_px": 96, "width_px": 144, "steps": steps}
    recipe = recipes.customise("classic", {**size, "weights": f"file:{weights}"})
    told = replace(task, content=content, styles=((style, 1.0),), recipe=recipe)
    assert painter.attempt(told) == Finished(steps, partial=False)
    assert the_book.psnr(_pixels(task.output), book[steps - 1].picture) >= least_db
    first = task.output.read_bytes()
    assert painter.attempt(told) == Finished(steps, partial=False)  # from its checkpoint
    assert task.output.read_bytes() == first


def test_recipes_that_share_a_source_of_weights_get_a_network_each(
    painter: Painter, book_files: tuple[Path, Path, Path]
) -> None:
    source = f"file:{book_files[2]}"
    classic, fast, painterly = (
        recipes.customise(name, {"weights": source}) for name in ("classic", "fast-classic", "painterly")
    )
    published = painter.load(classic)
    assert painter.load(fast) is published
    scaled = painter.load(painterly)
    assert not torch.equal(scaled.convolutions["conv1_1"].weight, published.convolutions["conv1_1"].weight)
    assert torch.equal(painter.load(classic).convolutions["conv1_1"].weight, published.convolutions["conv1_1"].weight)


def test_16_bits_have_more_tones_than_8_and_the_same_look(painter: Painter, task: Task) -> None:
    painter.attempt(task)
    coarse = torch.from_numpy(_pixels(task.output)).int()
    task.checkpoint.unlink()
    painter.attempt(replace(task, result_format=ResultFormat("TIFF", 16)))
    fine = torch.from_numpy(tifffile.imread(task.output).astype("int32"))
    assert fine.shape == (43, 64, 4)
    assert len(fine[..., :3].unique()) > 256
    assert ((fine / 257).round().int() - coarse).abs().max() <= 1
    assert (fine[..., 3] % 257 == 0).all()


def test_a_finished_attempt_can_be_written_again_from_its_checkpoint(painter: Painter, task: Task) -> None:
    """The server may die between a worker's last word and writing it down."""
    painter.attempt(task)
    first = task.output.read_bytes()
    task.output.unlink()
    assert painter.attempt(task) == Finished(3, partial=False)
    assert task.output.read_bytes() == first


def test_a_checkpoint_of_another_recipe_begins_the_job_again(painter: Painter, task: Task) -> None:
    """So it is after an upgrade that changes what a recipe's name stands for."""
    painter.attempt(task)
    longer = replace(task, recipe=replace(DRAFT, steps=5))
    assert painter.attempt(longer) == Finished(5, partial=False)


def test_a_device_without_room_is_told_of_and_goes_on_in_tiles(
    painter: Painter, task: Task, reports: list[Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Network.forward

    def refusing(network: Network, picture: torch.Tensor, **options: Any) -> dict[str, Maps]:
        if picture.shape[-1] * picture.shape[-2] > 140 * 140:
            raise torch.OutOfMemoryError("no room")
        return forward(network, picture, **options)

    monkeypatch.setattr(Network, "forward", refusing)
    assert painter.attempt(replace(task, recipe=replace(DRAFT, size_px=200))) == Finished(3, partial=False)
    (notice,) = (report for report in reports if isinstance(report, Noticed))
    assert notice.reason == "TILES_SMALLER"
    assert notice.message == "cpu ran out of memory; the picture is painted in tiles of 112 px now."


def test_a_device_without_any_room_fails_with_advice(
    painter: Painter, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: Any, **__: Any) -> dict[str, Maps]:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(Network, "forward", refusing)
    failed = painter.attempt(task)
    assert isinstance(failed, Failed)
    assert failed.reason == "OUT_OF_MEMORY"
    assert "64 px" in failed.message


def test_a_picture_that_is_lost_in_numbers_fails_and_leaves_a_sound_checkpoint(painter: Painter, task: Task) -> None:
    steers = (Steer(1, Steering(style_weight=math.inf), step=3),)
    failed = painter.attempt(replace(task, recipe=replace(DRAFT, steps=6), steerings=steers, checkpoint_interval_s=0))
    assert isinstance(failed, Failed)
    assert failed.reason == "DIVERGED"
    assert failed.message.startswith("The picture was lost at step ")
    assert "learning_rate" in failed.message
    assert not task.output.exists()
    kept = checkpoints.load(task.checkpoint)
    assert torch.isfinite(kept.tensors["picture"]).all()


def test_the_last_step_may_not_lose_the_picture_either(painter: Painter, task: Task) -> None:
    steers = (Steer(1, Steering(style_weight=math.inf), step=3),)
    failed = painter.attempt(replace(task, steerings=steers))
    assert isinstance(failed, Failed)
    assert failed.reason == "DIVERGED"
    assert not task.output.exists()


def test_an_error_that_stays_with_the_device_ends_more_than_the_job(
    painter: Painter, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> Maps:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(Network, "forward", failing)
    assert painter.attempt(task) == Failed(
        "INTERNAL", "Painting failed: CUDA error: an illegal memory access was encountered"
    )
    monkeypatch.setattr(nst, "is_alive", lambda _: False)
    with pytest.raises(nst.DeviceLostError, match="cpu is lost to this process: CUDA error"):
        painter.attempt(task)


def test_each_death_by_lack_of_memory_makes_the_tiles_smaller(
    painter: Painter, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for = []
    stylize = nst.stylize

    def listening(*arguments: Any, tile_px: int | None, **options: Any) -> Any:
        asked_for.append(tile_px)
        return stylize(*arguments, tile_px=tile_px, **options)

    monkeypatch.setattr(nst, "stylize", listening)
    for deaths in (0, 1, 2, 3, 9, 100):
        task.checkpoint.unlink(missing_ok=True)
        painter.attempt(replace(task, memory_deaths=deaths, recipe=replace(DRAFT, steps=1)))
    assert asked_for == [None, 1024, 512, 256, 64, 64]


def _pixels(path: Path) -> Any:
    with Image.open(path) as image:
        return np.array(image)
