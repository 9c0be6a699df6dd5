"""Turns a task into reports: makes the steps, takes previews and checkpoints beside them, writes the result."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image

from impasto_server import codec, nst, recipes, suggest

from . import checkpoints, result_files
from .beside import Beside
from .protocol import (
    Blob,
    Checkpointed,
    Failed,
    Files,
    Finished,
    Losses,
    Noticed,
    Previewed,
    PreviewRequest,
    Progressed,
    RenderTask,
    Report,
    Steer,
    Steered,
    Task,
)
from .rate import Rate

# Progress goes out at most this often: a GPU makes hundreds of steps a second, and reading losses waits for it.
_PROGRESS_INTERVAL_S = 0.05

# A checkpoint may hold the optimiser up for this share of the time.
_CHECKPOINT_SHARE = 0.02
# From here on there is no room for a copy of the run to be written beside it.
_LARGE_PIXELS = 2**23
# Longest side of tiles after a first death by lack of memory; each further one halves it.
_TILE_AFTER_DEATH_PX = 1024

log = logging.getLogger(__name__)


class Asked(Protocol):
    """What is asked of the run in progress, read between two steps."""

    @property
    def cancelled(self) -> bool:
        """Whether it is to end."""

    @property
    def previews(self) -> PreviewRequest:
        """Which previews are wanted."""

    def take_steers(self) -> list[Steer]:
        """Changes of weights that came since the last call."""


class Painter:
    """Keeps the model between tasks. `report` may be called from several threads."""

    def __init__(self, device: torch.device, asked: Asked, report: Callable[[Report], None]) -> None:
        self._device = device
        self._asked = asked
        self._report = report
        self._previewing = Beside("previews")
        self._saving = Beside("checkpoints")
        self._vgg: tuple[tuple[str, bool], nst.Vgg] | None = None
        self._shortcuts: nst.Shortcuts | None = None

    def warm_up(self, trying: Callable[[str], None] = lambda _: None, deadly: Collection[str] = ()) -> Sequence[str]:
        """Loads the default recipe's network and finds out what the device is trusted with; says what it isn't.

        `trying` and `deadly` as in `nst.check_shortcuts`.
        """
        vgg = self.load(recipes.RECIPES[recipes.DEFAULT_RECIPE])
        self._shortcuts, notices = nst.check_shortcuts(vgg, trying=trying, deadly=deadly)
        return notices

    def load(self, recipe: recipes.Recipe) -> nst.Vgg:
        """The recipe's network; kept until another one is asked for."""
        wanted = recipe.weights, recipe.unit_mean
        if self._vgg is None or self._vgg[0] != wanted:
            self._vgg = None  # let the old one go before the new one comes
            self._vgg = (wanted, nst.load_vgg(recipe.weights, self._device, unit_mean=recipe.unit_mean))
        vgg = self._vgg[1]
        return replace(vgg, shortcuts=self._shortcuts) if self._shortcuts else vgg

    def attempt(self, task: Task, files: Files) -> Finished | Failed:
        """Paints a task and says how it ended. Raises `nst.DeviceLostError` if only another process can go on."""
        try:
            return self._paint(task, files)
        except Exception as error:
            if (failed := _expected(error)) is not None:
                return failed
            if not nst.is_alive(self._device):
                raise nst.DeviceLostError(f"{self._device} is lost to this process: {error}") from error
            if nst.is_out_of_memory(error):
                return self._out_of_memory(task)
            log.exception("the run failed")
            return Failed("INTERNAL", f"Painting failed: {error}")
        finally:
            self._previewing.flush()
            self._saving.drop()

    def render(self, task: RenderTask, files: Files) -> Finished | Failed:
        """Writes the picture that a checkpoint holds."""
        try:
            content = codec.load(files.path(task.content), keep_profile=True)
            checkpoint = checkpoints.load(files.path(task.checkpoint))
            scale = _scales(task.recipe, content)[int(checkpoint.meta["scale"])]
            made = int(checkpoint.meta["step"])
            rows = nst.rows(checkpoint, task.recipe, task.result_format.bits_per_channel)
            picture = result_files.write(files, rows, scale, content, task.result_format)
        except nst.CheckpointError as error:
            return Failed("CHECKPOINT_UNUSABLE", str(error))
        except Exception as error:
            if (failed := _expected(error)) is not None:
                return failed
            log.exception("rendering failed")
            return Failed("INTERNAL", f"Painting failed: {error}")
        return Finished(made, made < task.recipe.steps, picture)

    def _paint(self, task: Task, files: Files) -> Finished:
        content = codec.load(files.path(task.content), keep_profile=True)
        tensor = _to_tensor(content.rgb)
        scales = _scales(task.recipe, content)
        resume = _resumable(task, files)
        made = int(resume.meta["step"]) if resume else 0
        last: nst.Step | None = None
        whole = made == task.recipe.steps
        if not whole and not self._asked.cancelled:
            for last in self._steps(task, files, content, tensor, scales, resume):
                if self._asked.cancelled and last.step < last.steps:
                    break
            else:
                whole = True
        bits = task.result_format.bits_per_channel
        if last:
            # Waits for a checkpoint that is being written, so that the last one stays.
            self._saving.drop()
            self._save(last.last_checkpoint(), files)
            rows, size, made = last.rows(bits), scales[last.scale - 1], last.step
        elif resume:
            rows, size = nst.rows(resume, task.recipe, bits), scales[int(resume.meta["scale"])]
        else:
            return Finished(0, partial=True, picture=None)
        picture = result_files.write(files, rows, size, content, task.result_format)
        return Finished(made, not whole, picture)

    def _steps(
        self,
        task: Task,
        files: Files,
        content: codec.Picture,
        tensor: torch.Tensor,
        scales: tuple[recipes.Scale, ...],
        resume: nst.Checkpoint | None,
    ) -> Iterator[nst.Step]:
        """Makes the steps, reports on them and has previews and checkpoints taken beside them."""
        made = int(resume.meta["step"]) if resume else 0
        # What took effect up to the checkpoint is in it.
        steers = [steer for steer in task.steerings if steer.step is None or steer.step > made]
        run = nst.stylize(
            tensor,
            [
                (_to_tensor(codec.load(files.path(style), icc_profile=content.icc_profile).rgb), weight)
                for style, weight in task.styles
            ],
            task.recipe,
            vgg=self.load(task.recipe),
            resume=resume,
            begin_from=checkpoints.load(files.path(task.begin_from)) if task.begin_from and not resume else None,
            steering=self._due(steers, made + 1),
            tile_px=_tile_after(task.memory_deaths),
        )
        rate = Rate(scales)
        progress_due = preview_due = checkpoint_due = 0.0
        step: nst.Step | None = None
        shown = 0
        since = time.monotonic()
        while True:
            steers += self._asked.take_steers()
            try:
                step = run.send(self._due(steers, made + 1)) if step else next(run)
            except StopIteration:
                if step and shown < step.step:
                    self._offer_preview(step)
                return
            made = step.step
            now = time.monotonic()
            # From step to step, whatever else was done in between: a device goes on meanwhile.
            rate.made_step(step.scale, now - since)
            since = now
            ends_scale = step.step in (step.steps, sum(scale.steps for scale in scales[: step.scale]))
            if step.ran_out_of_memory:
                text = f"{self._device} ran out of memory; the picture is painted in tiles of {step.tile_px} px now."
                self._report(Noticed("TILES_SMALLER", text))
            if now >= progress_due or ends_scale:
                progress_due = now + _PROGRESS_INTERVAL_S
                self._report(_progress(step, rate, ends_scale=ends_scale))
            if self._asked.previews.specs and now >= preview_due:
                preview_due = now + self._asked.previews.interval_s
                self._offer_preview(step)
                shown = step.step
            if now >= checkpoint_due:
                # The first step of an attempt is kept at once: an attempt that gets so far has not died in vain.
                began = time.monotonic()
                self._keep(step, files)
                held_up_s = time.monotonic() - began
                checkpoint_due = began + max(task.checkpoint_interval_s, held_up_s / _CHECKPOINT_SHARE)
                since += held_up_s
            yield step

    def _offer_preview(self, step: nst.Step) -> None:
        """Has the picture shown beside the run, if anybody wants to see it."""
        if specs := self._asked.previews.specs:
            look = step.look(max(spec.max_size_px for spec in specs))
            self._previewing.offer(functools.partial(self._show, look, step.step, step.scale))

    def _due(self, steers: list[Steer], step: int) -> nst.Steering:
        """Takes the changes that count from this step on, reports them, and returns what they come to."""
        found = nst.Steering()
        for steer in list(steers):
            if steer.step is None or steer.step <= step:
                steers.remove(steer)
                weights = steer.steering
                found = found.then(
                    nst.Steering(
                        content_weight=weights.content_weight,
                        style_weight=weights.style_weight,
                        tv_weight=weights.tv_weight,
                    )
                )
                if steer.step is None:
                    self._report(Steered(steer.number, step))
        return found

    def _keep(self, step: nst.Step, files: Files) -> None:
        """Has a checkpoint written beside the optimiser, or if the picture is too large to be copied for it, now."""
        if step.height_px * step.width_px < _LARGE_PIXELS:
            self._saving.offer(functools.partial(self._save, step.checkpoint(), files))
        else:
            self._save(step.checkpoint(copy=False), files)

    def _save(self, checkpoint: nst.Checkpoint, files: Files) -> None:
        made = int(checkpoint.meta["step"])
        try:
            self._report(Checkpointed(made, _saved(checkpoint, files.scratch_path())))
        except OSError as error:  # a full disk must not end what runs
            log.warning("no checkpoint of step %d: %s", made, error)

    def _show(self, look: nst.Look, step: int, scale: int) -> None:
        image = Image.fromarray(look.image().numpy())
        for spec in self._asked.previews.specs:
            small = codec.shrunk(image, spec.max_size_px)
            data = codec.encode(small, spec.format, quality=spec.quality)
            self._report(Previewed(spec, data, small.width, small.height, step, scale))

    def _out_of_memory(self, task: Task) -> Failed:
        advice = suggest.smaller(task.recipe.longest_px)
        return Failed("OUT_OF_MEMORY", f"{self._device} ran out of memory at {task.recipe.longest_px} px: {advice}.")


def _expected(error: Exception) -> Failed | None:
    """What goes wrong without anybody's fault here; None for the rest."""
    match error:
        case nst.WeightsError():
            return Failed("WEIGHTS_UNAVAILABLE", str(error))
        case codec.ImageError():
            return Failed(error.reason, str(error))
        case OSError():
            why = error.strerror or error
            return Failed(
                "DISK_FULL", f"The picture could not be written: {why}. Free some space and continue the job."
            )
        case nst.DivergedError():
            return Failed("DIVERGED", str(error))
    return None


def _resumable(task: Task, files: Files) -> nst.Checkpoint | None:
    if task.checkpoint is None:
        return None
    try:
        checkpoint = checkpoints.load(files.path(task.checkpoint))
        nst.check_recipe(checkpoint, task.recipe)  # this program may have been another version then
        return checkpoint
    except nst.CheckpointError as error:
        log.warning("%s The job begins again.", error)
        return None


def _scales(recipe: recipes.Recipe, content: codec.Picture) -> tuple[recipes.Scale, ...]:
    return recipes.plan(recipe, content.rgb.height, content.rgb.width)


def _saved(checkpoint: nst.Checkpoint, path: Path) -> Blob:
    try:
        checkpoints.save(checkpoint, path)
        return result_files.blob(path)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _tile_after(memory_deaths: int) -> int | None:
    """Longest side of tiles for a job whose workers have been killed for lack of memory."""
    return max(64, _TILE_AFTER_DEATH_PX >> (memory_deaths - 1)) if memory_deaths else None


def _progress(step: nst.Step, rate: Rate, *, ends_scale: bool) -> Progressed:
    losses = step.losses()
    return Progressed(
        scale=step.scale,
        scales=step.scales,
        step=step.step,
        steps=step.steps,
        height_px=step.height_px,
        width_px=step.width_px,
        losses=Losses(losses.content, losses.style, losses.tv, losses.total),
        steps_per_second=rate.steps_per_second,
        seconds_left=rate.seconds_left(step.step, step.steps),
        ends_scale=ends_scale,
    )


def _to_tensor(image: Image.Image) -> torch.Tensor:
    """As (3, H, W), uint8: a quarter of what floats would take as long as the run goes."""
    return torch.from_numpy(np.array(image, dtype=np.uint8)).permute(2, 0, 1)
