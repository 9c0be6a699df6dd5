"""The worker process: owns one device and its model, and paints one task at a time.

Started as `python -m impasto_server.engine.worker DEVICE [SHORTCUT …]`; the shortcuts are those that workers on this
device have died of. There is a pipe on stdin and stdout (engine/pipe.py). It ends when its stdin does, so it never
outlives the front door.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
from typing import NoReturn

from impasto_server import nst

from .abc import DeviceInfo, PreviewDemand, Steer, Task
from .painter import Painter
from .pipe import DEVICE_LOST, BlockingPipe, Cancel, Hello, Message, NoDevice, Ready, Trying

AUTOMATIC = "auto"

log = logging.getLogger(__name__)


class Inbox:
    """Commands from the front door, read by a thread of their own so that a cancel is seen between any two steps."""

    def __init__(self, pipe: BlockingPipe) -> None:
        self._pipe = pipe
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._steers: list[Steer] = []
        self.cancelled = False
        self.demand = PreviewDemand()
        threading.Thread(target=self._read_forever, name="inbox", daemon=True).start()

    def next_task(self) -> Task:
        """Waits for work."""
        return self._tasks.get()

    def take_steers(self) -> list[Steer]:
        """Changes of weights that came since the last call."""
        with self._lock:
            steers, self._steers = self._steers, []
        return steers

    def _read_forever(self) -> None:
        while (command := self._pipe.receive()) is not None:
            match command:
                case Task():
                    # The pipe keeps its order: what is said from here on concerns this task.
                    self.take_steers()
                    self.cancelled = False
                    self._tasks.put(command)
                case Cancel():
                    self.cancelled = True
                case Steer():
                    with self._lock:
                        self._steers.append(command)
                case PreviewDemand():
                    self.demand = command
        # The front door is gone, and with it the only reason to be here. Daemon threads and torch's own
        # pools make an orderly exit slow and sometimes noisy; there is nothing left to put in order.
        os._exit(0)


def main() -> NoReturn:
    # The pipe moves to descriptors of its own, so that a stray print lands in the log and not between messages.
    pipe = BlockingPipe(os.dup(0), os.dup(1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    # Ctrl-C in a terminal reaches the whole process group; only the front door decides when a worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    inbox = Inbox(pipe)
    wanted = sys.argv[1]
    try:
        device = nst.pick_device(None if wanted == AUTOMATIC else wanted)
    except nst.DeviceError as error:
        pipe.send(NoDevice(str(error)))
        sys.exit(1)
    found = next(entry for entry in nst.list_devices() if entry.name == str(device))
    pipe.send(Hello(DeviceInfo(found.name, found.description, found.memory_bytes or 0)))

    def report(message: Message) -> None:
        try:
            pipe.send(message)
        except BrokenPipeError:
            os._exit(0)  # as in Inbox: nobody is left to report to

    nst.set_up(device)
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
        task = inbox.next_task()
        try:
            report(painter.attempt(task))
        except nst.DeviceLostError as error:
            _leave(error)


def _leave(error: nst.DeviceLostError) -> NoReturn:
    """Some errors of a GPU stay with the process: what it did next would fail as this did. Another process goes on."""
    log.critical("%s", error, exc_info=error)
    os._exit(DEVICE_LOST)  # an orderly exit would wait for the device


if __name__ == "__main__":
    main()
