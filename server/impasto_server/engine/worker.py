"""The worker process: owns one device and its model, and paints one task at a time.

Started as `python -m impasto_server.engine.worker DEVICE` with a pipe on stdin and stdout (engine/pipe.py).
It ends when its stdin does, so it never outlives the front door.
"""

from __future__ import annotations

import functools
import logging
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from PIL import Image

from impasto_server import codec, nst, recipes

from .abc import DeviceInfo, Failed, Finished, Losses, PreviewDemand, Progressed, Report, Steering, Task
from .pace import Pace
from .pipe import BlockingPipe, Cancel, Hello, NoDevice
from .previews import PreviewEncoder

AUTOMATIC = "auto"
# Progress goes out at most this often: a GPU makes hundreds of steps a second, and reading losses waits for it.
_PROGRESS_INTERVAL_S = 0.05

log = logging.getLogger(__name__)


class Inbox:
    """Commands from the front door, read by a thread of their own so that a cancel is seen between any two steps."""

    def __init__(self, pipe: BlockingPipe, encoder: PreviewEncoder) -> None:
        self._pipe = pipe
        self._encoder = encoder
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._steering = Steering()
        self._cancelled = False
        threading.Thread(target=self._read_forever, name="inbox", daemon=True).start()

    def next_task(self) -> Task:
        """Waits for work."""
        return self._tasks.get()

    @property
    def cancelled(self) -> bool:
        """Whether the run in progress is to end."""
        return self._cancelled

    def take_steering(self) -> Steering:
        """What came since the last call; later weights win."""
        with self._lock:
            steering, self._steering = self._steering, Steering()
        return steering

    def _read_forever(self) -> None:
        while (command := self._pipe.receive()) is not None:
            match command:
                case Task():
                    # The pipe keeps its order: what is said from here on concerns this task.
                    with self._lock:
                        self._cancelled, self._steering = False, Steering()
                    self._tasks.put(command)
                case Cancel():
                    self._cancelled = True
                case Steering():
                    with self._lock:
                        self._steering = self._steering.then(command)
                case PreviewDemand():
                    self._encoder.demand = command
        # The front door is gone, and with it the only reason to be here. Daemon threads and torch's own
        # pools make an orderly exit slow and sometimes noisy; there is nothing left to put in order.
        os._exit(0)


class Painter:
    """Keeps the model between tasks and turns a task into reports."""

    def __init__(self, device: torch.device, inbox: Inbox, encoder: PreviewEncoder, pipe: BlockingPipe) -> None:
        self._device = device
        self._inbox = inbox
        self._encoder = encoder
        self._pipe = pipe
        self._vgg: tuple[str, nst.Vgg] | None = None

    def load(self, weights: str) -> nst.Vgg:
        """The network with these weights; kept until others are asked for."""
        if self._vgg is None or self._vgg[0] != weights:
            self._vgg = None  # let the old one go before the new one comes
            self._vgg = (weights, nst.load_vgg(weights, self._device))
        return self._vgg[1]

    def attempt(self, task: Task) -> Report:
        """Paints a task and says how it ended."""
        try:
            return self._paint(task)
        except torch.OutOfMemoryError:
            return _out_of_memory(task, self._device)
        except RuntimeError as error:
            if "alloc" not in str(error):  # the CPU's allocator has no exception type of its own
                log.exception("the run failed")
                return Failed("INTERNAL", f"Painting failed: {error}")
            return _out_of_memory(task, self._device)
        except nst.WeightsError as error:
            return Failed("WEIGHTS_UNAVAILABLE", str(error))
        except (codec.ImageError, ValueError) as error:
            return Failed(getattr(error, "reason", "INTERNAL"), str(error))
        finally:
            self._encoder.flush()

    def _paint(self, task: Task) -> Report:
        content = codec.load(task.content, keep_profile=True)
        styles = [
            (_to_tensor(codec.load(path, icc_profile=content.icc_profile).rgb), weight) for path, weight in task.styles
        ]
        tensor = _to_tensor(content.rgb)
        scales = recipes.plan(task.recipe, *tensor.shape[-2:])
        run = nst.stylize(tensor, styles, task.recipe, vgg=self.load(task.recipe.weights))
        pace = Pace(scales)
        last: nst.Step | None = None
        progress_due = preview_due = 0.0
        while not self._inbox.cancelled:
            began = time.monotonic()
            try:
                # A generator that hasn't started takes no message; the weights it starts with are the recipe's.
                last = run.send(_to_nst(self._inbox.take_steering())) if last else next(run)
            except StopIteration:
                break
            now = time.monotonic()
            pace.made_step(last.scale, now - began)
            ends_scale = last.step == sum(scale.steps for scale in scales[: last.scale])
            if now >= progress_due or ends_scale:
                progress_due = now + _PROGRESS_INTERVAL_S
                self._pipe.send(_progress(last, pace))
            if self._encoder.demand.specs and (now >= preview_due or last.step == last.steps):
                preview_due = now + self._encoder.demand.interval_s
                self._encoder.offer(functools.partial(_to_image, last), step=last.step, scale=last.scale)
        if last is None:
            return Finished(step=0, partial=True)
        _write(_to_image(last), content, task.output)
        return Finished(last.step, partial=last.step < last.steps)


def _write(painted: Image.Image, content: codec.Picture, output: Path) -> None:
    if content.alpha is not None:
        painted.putalpha(content.alpha.resize(painted.size, Image.Resampling.BILINEAR))
    output.write_bytes(codec.encode(painted, "PNG", icc_profile=content.icc_profile))


def _progress(step: nst.Step, pace: Pace) -> Progressed:
    losses = step.losses()
    return Progressed(
        scale=step.scale,
        scales=step.scales,
        step=step.step,
        steps=step.steps,
        height_px=step.height_px,
        width_px=step.width_px,
        losses=Losses(losses.content, losses.style, losses.tv, losses.total),
        steps_per_second=pace.steps_per_second,
        seconds_left=pace.seconds_left(step.step),
    )


def _to_image(step: nst.Step) -> Image.Image:
    return Image.fromarray(step.image().numpy())


def _to_tensor(image: Image.Image) -> torch.Tensor:
    pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
    return pixels.permute(2, 0, 1).float() / 255


def _to_nst(steering: Steering) -> nst.Steering:
    return nst.Steering(
        content_weight=steering.content_weight,
        style_weight=steering.style_weight,
        tv_weight=steering.tv_weight,
    )


def _out_of_memory(task: Task, device: torch.device) -> Failed:
    size = task.recipe.size_px or max(task.recipe.height_px or 0, task.recipe.width_px or 0)
    smaller = int(size / 2**0.5 // 8 * 8)
    return Failed("OUT_OF_MEMORY", f"{device} ran out of memory at {size} px: try --size {smaller}.")


def main() -> NoReturn:
    # The pipe moves to descriptors of its own, so that a stray print lands in the log and not between messages.
    pipe = BlockingPipe(os.dup(0), os.dup(1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    # Ctrl-C in a terminal reaches the whole process group; only the front door decides when a worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    encoder = PreviewEncoder(pipe.send)
    inbox = Inbox(pipe, encoder)
    wanted = sys.argv[1]
    try:
        device = nst.pick_device(None if wanted == AUTOMATIC else wanted)
    except nst.DeviceError as error:
        pipe.send(NoDevice(str(error)))
        sys.exit(1)
    found = next(entry for entry in nst.list_devices() if entry.name == str(device))
    pipe.send(Hello(DeviceInfo(found.name, found.description, found.memory_bytes or 0)))
    painter = Painter(device, inbox, encoder, pipe)
    painter.load(recipes.RECIPES[recipes.DEFAULT_RECIPE].weights)  # before anybody waits for it
    while True:
        pipe.send(painter.attempt(inbox.next_task()))


if __name__ == "__main__":
    main()
