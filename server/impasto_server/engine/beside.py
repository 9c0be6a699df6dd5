"""A thread beside the optimiser with a mailbox of one: newer work replaces what still waits, and nobody is held up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Beside:
    """Does one piece of work at a time. What goes wrong is worth a line in the log, never a run."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: Callable[[], None] | None = None
        self._busy = False
        self._changed = threading.Condition()
        threading.Thread(target=self._work_forever, name=name, daemon=True).start()

    def offer(self, work: Callable[[], None]) -> None:
        """Hands over work; never waits."""
        with self._changed:
            self._waiting = work
            self._changed.notify_all()

    def flush(self) -> None:
        """Waits until nothing is left to do."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is None and not self._busy)

    def drop(self) -> None:
        """Forgets what waits, and waits for what is being done."""
        with self._changed:
            self._waiting = None
        self.flush()

    def _work_forever(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting is not None)
                assert self._waiting is not None
                work, self._waiting, self._busy = self._waiting, None, True
            try:
                work()
            except Exception:
                log.exception("%s failed", self._name)
            del work  # it may hold a picture's worth of tensors
