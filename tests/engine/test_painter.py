"""Tasks to reports, in this process: real weights, small pictures."""

from __future__ import annotations

import hashlib
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

from impasto_server import codec, nst, recipes
from impasto_server.engine import (
    Checkpointed,
    Failed,
    Finished,
    Noticed,
    Previewed,
    PreviewRequest,
    PreviewSpec,
    Progressed,
    RenderTask,
    Report,
    ResultFormat,
    Steer,
    Steering,
    Task,
    checkpoints,
)
from impasto_server.engine import painter as painter_module
from impasto_server.engine.local.pipe import LocalFiles
from impasto_server.engine.painter import Painter
from impasto_server.nst.maps import Maps
from impasto_server.nst.network import Network
from tests import the_book

DRAFT = recipes.customise("draft", {"size_px": 64, "steps": 3})


class Watcher:
    """Wants to see everything, and interferes with nothing."""

    cancelled = False
    previews = PreviewRequest(frozenset({PreviewSpec(max_size_px=32)}), interval_s=0)

    def take_steers(self) -> list[Steer]:
        return []


class CancelledAfter:
    """Asks for the end after that many steps."""

    previews = PreviewRequest()

    def __init__(self, made: int) -> None:
        self._left = made
        self._asked = 0

    @property
    def cancelled(self) -> bool:
        """Asked once before the first step, and after each."""
        self._asked += 1
        return self._asked > self._left

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
    return Painter(torch.device("cpu"), Watcher(), reports.append)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    photo = Image.fromarray(data.coffee()[::4, ::4]).convert("RGBA")
    photo.putalpha(Image.linear_gradient("L").resize(photo.size))
    photo.save(tmp_path / "photo.png")
    Image.fromarray(data.chelsea()[::4, ::4]).save(tmp_path / "style.png")
    return Task("photo", (("style", 1.0),), DRAFT)


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    (tmp_path / "scratch").mkdir()
    return LocalFiles({"photo": tmp_path / "photo.png", "style": tmp_path / "style.png"}, tmp_path / "scratch")


def test_a_task_is_shown_and_written(painter: Painter, task: Task, files: LocalFiles, reports: list[Report]) -> None:
    made = painter.attempt(task, files)
    assert [report.step for report in reports if isinstance(report, Progressed)][-1] == 3
    looks = [report for report in reports if isinstance(report, Previewed)]
    assert {(look.width_px, look.height_px) for look in looks} == {(32, 21)}
    assert isinstance(made, Finished)
    assert made.picture
    assert made.picture.facts == codec.ImageFacts("PNG", 64, 43, has_alpha=True)
    with Image.open(_whole(made, 3)) as painted:
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
    files: LocalFiles,
    reports: list[Report],
    book_files: tuple[Path, Path, Path],
    book: list[the_book.Seen],
) -> None:
    """Rounding grows from step to step, as Adam divides by the gradient's size: after 5 steps the book's code with its
    maps in another memory layout is 55 dB from itself, and after 15 steps 44 dB; so is ours."""
    content, style, weights = book_files
    size = {"height_px": 96, "width_px": 144, "steps": steps}
    recipe = recipes.customise("classic", {**size, "weights": f"file:{weights}"})
    of_the_book = replace(files, paths={"content": content, "style": style})
    task = Task("content", (("style", 1.0),), recipe)
    first = _whole(painter.attempt(task, of_the_book), steps)
    assert the_book.psnr(_pixels(first), book[steps - 1].picture) >= least_db
    again = painter.attempt(*_from_checkpoint(task, of_the_book, reports))
    assert _whole(again, steps).read_bytes() == first.read_bytes()


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


def test_16_bits_have_more_tones_than_8_and_the_same_look(painter: Painter, task: Task, files: LocalFiles) -> None:
    coarse = torch.from_numpy(_pixels(_whole(painter.attempt(task, files), 3))).int()
    made = painter.attempt(replace(task, result_format=ResultFormat("TIFF", 16)), files)
    fine = torch.from_numpy(tifffile.imread(_whole(made, 3)).astype("int32"))
    assert fine.shape == (43, 64, 4)
    assert len(fine[..., :3].unique()) > 256
    assert ((fine / 257).round().int() - coarse).abs().max() <= 1
    assert (fine[..., 3] % 257 == 0).all()


def test_a_finished_attempt_can_be_written_again_from_its_checkpoint(
    painter: Painter, task: Task, files: LocalFiles, reports: list[Report]
) -> None:
    """The server may die between a worker's last word and writing it down."""
    output = _whole(painter.attempt(task, files), 3)
    first = output.read_bytes()
    output.unlink()
    reported = len([report for report in reports if isinstance(report, Progressed)])
    again = painter.attempt(*_from_checkpoint(task, files, reports))
    assert _whole(again, 3).read_bytes() == first
    assert len([report for report in reports if isinstance(report, Progressed)]) == reported, "no step was made"


@pytest.mark.parametrize("result_format", [ResultFormat(), ResultFormat("TIFF", 16)], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("made", [1, 4, 5])
def test_a_checkpoint_is_rendered_to_the_same_bytes_as_the_cancelled_run_s_own_picture(
    made: int, result_format: ResultFormat, task: Task, files: LocalFiles
) -> None:
    """In the first scale, where it ends, and in the last."""
    recipe = recipes.customise("draft", {"size_px": 96, "coarsest_px": 48, "steps": 6})
    task = replace(task, recipe=recipe, result_format=result_format)
    reports: list[Report] = []
    cancelled = Painter(torch.device("cpu"), CancelledAfter(made), reports.append).attempt(task, files)
    assert isinstance(cancelled, Finished)
    assert (cancelled.step, cancelled.partial) == (made, True)
    resumed, found = _from_checkpoint(task, files, reports)
    assert resumed.checkpoint
    rendering = RenderTask(task.content, recipe, resumed.checkpoint, result_format)
    rendered = Painter(torch.device("cpu"), Watcher(), reports.append).render(rendering, found)
    assert isinstance(rendered, Finished)
    assert (rendered.step, rendered.partial) == (made, True)
    assert cancelled.picture
    assert rendered.picture
    assert rendered.picture.facts == cancelled.picture.facts
    assert _bytes(rendered) == _bytes(cancelled)


def test_a_run_s_last_checkpoint_is_rendered_whole(
    painter: Painter, task: Task, files: LocalFiles, reports: list[Report]
) -> None:
    first = _whole(painter.attempt(task, files), 3).read_bytes()
    resumed, found = _from_checkpoint(task, files, reports)
    assert resumed.checkpoint
    rendered = painter.render(RenderTask(task.content, task.recipe, resumed.checkpoint), found)
    assert _whole(rendered, 3).read_bytes() == first


def test_a_checkpoint_that_cannot_be_read_is_no_picture(painter: Painter, task: Task, files: LocalFiles) -> None:
    broken = files.scratch / "broken"
    broken.write_bytes(b"no checkpoint")
    found = replace(files, paths={**files.paths, "broken": broken})
    failed = painter.render(RenderTask(task.content, task.recipe, "broken"), found)
    assert isinstance(failed, Failed)
    assert failed.reason == "CHECKPOINT_UNUSABLE"
    assert failed.message.startswith("The checkpoint broken can't be read: ")


def test_a_run_that_is_cancelled_before_its_first_step_has_no_picture(task: Task, files: LocalFiles) -> None:
    reports: list[Report] = []
    ended = Painter(torch.device("cpu"), CancelledAfter(0), reports.append).attempt(task, files)
    assert ended == Finished(0, partial=True, picture=None)
    assert not list(files.scratch.iterdir())


def test_a_checkpoint_of_another_recipe_begins_the_job_again(
    painter: Painter, task: Task, files: LocalFiles, reports: list[Report]
) -> None:
    """So it is after an upgrade that changes what a recipe's name stands for."""
    painter.attempt(task, files)
    longer = replace(task, recipe=replace(DRAFT, steps=5))
    _whole(painter.attempt(*_from_checkpoint(longer, files, reports)), 5)


@pytest.mark.parametrize("large_pixels", [0, 2**23], ids=["by the run itself", "beside the run"])
def test_a_folder_that_nothing_can_be_written_to_ends_a_run_when_its_picture_is_due_and_not_before(
    large_pixels: int,
    painter: Painter,
    task: Task,
    files: LocalFiles,
    reports: list[Report],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a full disk, where there may be room again by then, whoever writes the checkpoints."""
    monkeypatch.setattr(painter_module, "_LARGE_PIXELS", large_pixels)
    files.scratch.rmdir()
    files.scratch.write_bytes(b"in the way")
    failed = painter.attempt(replace(task, checkpoint_interval_s=0), files)
    assert failed == Failed(
        "DISK_FULL", "The picture could not be written: File exists. Free some space and continue the job."
    )
    assert [report.step for report in reports if isinstance(report, Progressed)][-1] == 3
    assert not [report for report in reports if isinstance(report, Checkpointed)]


def test_a_device_without_room_is_told_of_and_goes_on_in_tiles(
    painter: Painter, task: Task, files: LocalFiles, reports: list[Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Network.forward

    def refusing(network: Network, picture: torch.Tensor, **options: Any) -> dict[str, Maps]:
        if picture.shape[-1] * picture.shape[-2] > 140 * 140:
            raise torch.OutOfMemoryError("no room")
        return forward(network, picture, **options)

    monkeypatch.setattr(Network, "forward", refusing)
    _whole(painter.attempt(replace(task, recipe=replace(DRAFT, size_px=200)), files), 3)
    (notice,) = (report for report in reports if isinstance(report, Noticed))
    assert notice.reason == "TILES_SMALLER"
    assert notice.message == "cpu ran out of memory; the picture is painted in tiles of 112 px now."


def test_a_device_without_any_room_fails_with_advice(
    painter: Painter, task: Task, files: LocalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: Any, **__: Any) -> dict[str, Maps]:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(Network, "forward", refusing)
    failed = painter.attempt(task, files)
    assert isinstance(failed, Failed)
    assert failed.reason == "OUT_OF_MEMORY"
    assert "64 px" in failed.message


def test_a_picture_that_is_lost_in_numbers_fails_and_leaves_a_sound_checkpoint(
    painter: Painter, task: Task, files: LocalFiles, reports: list[Report]
) -> None:
    steers = (Steer(1, Steering(style_weight=math.inf), step=3),)
    long = replace(task, recipe=replace(DRAFT, steps=6), steerings=steers, checkpoint_interval_s=0)
    failed = painter.attempt(long, files)
    assert isinstance(failed, Failed)
    assert failed.reason == "DIVERGED"
    assert failed.message.startswith("The picture was lost at step ")
    assert "learning_rate" in failed.message
    kept = [report.blob.path for report in reports if isinstance(report, Checkpointed)]
    assert {*files.scratch.iterdir()} == {*kept}, "no picture was written"
    assert kept
    for path in kept:
        assert path
        assert torch.isfinite(checkpoints.load(path).tensors["picture"]).all()


def test_the_last_step_may_not_lose_the_picture_either(
    painter: Painter, task: Task, files: LocalFiles, reports: list[Report]
) -> None:
    steers = (Steer(1, Steering(style_weight=math.inf), step=3),)
    failed = painter.attempt(replace(task, steerings=steers), files)
    assert isinstance(failed, Failed)
    assert failed.reason == "DIVERGED"
    kept = {report.blob.path for report in reports if isinstance(report, Checkpointed)}
    assert {*files.scratch.iterdir()} == kept, "no picture was written"


def test_an_error_that_stays_with_the_device_ends_more_than_the_job(
    painter: Painter, task: Task, files: LocalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> Maps:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(Network, "forward", failing)
    assert painter.attempt(task, files) == Failed(
        "INTERNAL", "Painting failed: CUDA error: an illegal memory access was encountered"
    )
    monkeypatch.setattr(nst, "is_alive", lambda _: False)
    with pytest.raises(nst.DeviceLostError, match="cpu is lost to this process: CUDA error"):
        painter.attempt(task, files)


def test_each_death_by_lack_of_memory_makes_the_tiles_smaller(
    painter: Painter, task: Task, files: LocalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for = []
    stylize = nst.stylize

    def listening(*arguments: Any, tile_px: int | None, **options: Any) -> Any:
        asked_for.append(tile_px)
        return stylize(*arguments, tile_px=tile_px, **options)

    monkeypatch.setattr(nst, "stylize", listening)
    for deaths in (0, 1, 2, 3, 9, 100):
        painter.attempt(replace(task, memory_deaths=deaths, recipe=replace(DRAFT, steps=1)), files)
    assert asked_for == [None, 1024, 512, 256, 64, 64]


def _whole(end: Finished | Failed, steps: int) -> Path:
    """The picture of a run that made all its steps, and is what its end says it is."""
    assert isinstance(end, Finished), end
    assert (end.step, end.partial) == (steps, False)
    written = _bytes(end)
    assert end.picture
    assert (hashlib.sha256(written).hexdigest(), len(written)) == (end.picture.blob.sha256, end.picture.blob.size_bytes)
    assert end.picture.blob.path
    return end.picture.blob.path


def _bytes(end: Finished) -> bytes:
    assert end.picture
    assert end.picture.blob.path
    return end.picture.blob.path.read_bytes()


def _from_checkpoint(task: Task, files: LocalFiles, reports: list[Report]) -> tuple[Task, LocalFiles]:
    """The same from where the latest run got to, with the checkpoint among its files."""
    latest = [report.blob for report in reports if isinstance(report, Checkpointed)][-1]
    assert latest.path
    written = latest.path.read_bytes()
    assert (hashlib.sha256(written).hexdigest(), len(written)) == (latest.sha256, latest.size_bytes)
    found = replace(files, paths={**files.paths, latest.sha256: latest.path})
    return replace(task, checkpoint=latest.sha256), found


def _pixels(path: Path) -> Any:
    with Image.open(path) as image:
        return np.array(image)
