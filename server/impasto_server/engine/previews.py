"""Encodes previews beside the optimiser: a thread with a mailbox of one, in which a newer picture replaces an older."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from PIL import Image

from impasto_server import codec

from .abc import PreviewDemand, Previewed

log = logging.getLogger(__name__)


class PreviewEncoder:
    """`offer` never waits. What can't be encoded in time is replaced by what comes after it."""

    def __init__(self, send: Callable[[Previewed], None]) -> None:
        self._send = send
        self._mailbox: tuple[Callable[[], Image.Image], int, int] | None = None
        self._busy = False
        self._changed = threading.Condition()
        self.demand = PreviewDemand()
        threading.Thread(target=self._encode_forever, name="previews", daemon=True).start()

    def offer(self, look: Callable[[], Image.Image], *, step: int, scale: int) -> None:
        """Hands over a way to look at the picture, called later in the thread of the encoder."""
        with self._changed:
            self._mailbox = (look, step, scale)
            self._changed.notify_all()

    def flush(self) -> None:
        """Waits until everything offered is sent, so that no preview comes after the run's end."""
        with self._changed:
            self._changed.wait_for(lambda: self._mailbox is None and not self._busy)

    def _encode_forever(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._mailbox is not None)
                assert self._mailbox is not None
                look, step, scale = self._mailbox
                self._mailbox, self._busy = None, True
            try:
                self._encode(look(), step, scale)
            except Exception:  # a preview is worth a line in the log, never a run
                log.exception("no preview of step %d", step)

    def _encode(self, image: Image.Image, step: int, scale: int) -> None:
        for spec in self.demand.specs:
            small = codec.shrunk(image, spec.max_size_px)
            data = codec.encode(small, spec.format, quality=spec.quality)
            self._send(Previewed(spec, data, small.width, small.height, step, scale))
