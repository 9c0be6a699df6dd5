"""The worker process: owns one device and its model, and paints one task at a time.

Started as `python -m impasto_server.engine.local.worker DEVICE [SHORTCUT …]`; the shortcuts are those that workers on
this device have died of. With `render` for a device it needs no model and does nothing but write checkpoints' pictures.
There is a pipe on stdin and stdout (pipe.py). It ends when its stdin does, so it never outlives the server.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

import torch

from impasto_server import nst
from impasto_server.engine.painter import Painter
from impasto_server.engine.protocol import Cancel, DeviceInfo, PreviewRequest, RenderTask, Steer

from . import signs_of_life
from .pipe import DEVICE_LOST, Begin, BlockingPipe, FromWorker, Hello, NoDevice, Ready, Trying

AUTOMATIC = "auto"
RENDER = "render"

log = logging.getLogger(__name__)


class Inbox:
    """Commands from the server, read by a thread of their own so that a cancel is seen between any two steps."""

    def __init__(self, pipe: BlockingPipe) -> None:
        self._pipe = pipe
        self._tasks: queue.SimpleQueue[Begin] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._steers: list[Steer] = []
        self.cancelled = False
        self.previews = PreviewRequest()
        threading.Thread(target=self._read_forever, name="inbox", daemon=True).start()

    def next_task(self) -> Begin:
        """Waits for work."""
        return self._tasks.get()

    def take_steers(self) -> list[Steer]:
        """Changes of weights that came since the last call."""
        with self._lock:
            steers, self._steers = self._steers, []
        return steers

    def _read_forever(self) -> None:
        while (message := self._pipe.receive()) is not None:
            match message:
                case Begin():
                    # The pipe keeps its order: what is said from here on concerns this task.
                    self.take_steers()
                    self.cancelled = False
                    self.previews = PreviewRequest()
                    self._tasks.put(message)
                case Cancel():
                    self.cancelled = True
                case Steer():
                    with self._lock:
                        self._steers.append(message)
                case PreviewRequest():
                    self.previews = message
        # The server is gone, and with it the only reason to be here. Daemon threads and torch's own
        # pools make an orderly exit slow and sometimes noisy; there is nothing left to put in order.
        os._exit(0)


def main() -> NoReturn:
    # The pipe moves to descriptors of its own, so that a stray print lands in the log and not between messages.
    pipe = BlockingPipe(os.dup(0), os.dup(1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    # Ctrl-C in a terminal reaches the whole process group; only the server decides when a worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    inbox = Inbox(pipe)

    def report(message: FromWorker) -> None:
        try:
            pipe.send(message)
        except BrokenPipeError:
            os._exit(0)  # as in Inbox: nobody is left to report to

    wanted = sys.argv[1]
    if wanted == RENDER:
        _render(inbox, report)
    try:
        device = nst.pick_device(None if wanted == AUTOMATIC else wanted)
    except nst.DeviceError as error:
        pipe.send(NoDevice(str(error)))
        sys.exit(1)
    found = next(entry for entry in nst.list_devices() if entry.name == str(device))
    report(Hello(DeviceInfo(found.name, found.description, found.memory_bytes or 0)))
    nst.set_up(device)
    signs_of_life.give(device, report)
    painter = Painter(device, inbox, report)
    try:
        notices = painter.warm_up(lambda shortcut: report(Trying(shortcut)), deadly=sys.argv[2:])
    except nst.DeviceLostError as error:
        _leave(error)
    except (nst.WeightsError, RuntimeError) as error:
        log.exception("%s can't paint", device)
        pipe.send(NoDevice(f"{device} can't paint: {error}"))
        sys.exit(1)
    report(Ready(tuple(notices)))
    while True:
        begin = inbox.next_task()
        assert not isinstance(begin.task, RenderTask), "a worker with a device paints"
        try:
            report(painter.attempt(begin.task, begin.files))
        except nst.DeviceLostError as error:
            _leave(error)


def _render(inbox: Inbox, report: Callable[[FromWorker], None]) -> NoReturn:
    cpu = torch.device("cpu")
    report(Hello(DeviceInfo("cpu", "writes a checkpoint's picture")))
    signs_of_life.give(cpu, report)
    report(Ready(()))
    begin = inbox.next_task()
    assert isinstance(begin.task, RenderTask)
    report(Painter(cpu, inbox, report).render(begin.task, begin.files))
    sys.exit(0)


def _leave(error: nst.DeviceLostError) -> NoReturn:
    """Some errors of a GPU stay with the process: what it did next would fail as this did. Another process goes on."""
    log.critical("%s", error, exc_info=error)
    os._exit(DEVICE_LOST)  # an orderly exit would wait for the device


if __name__ == "__main__":
    main()
