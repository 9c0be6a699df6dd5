"""How fast a run goes and how long it still takes."""

from __future__ import annotations

from collections.abc import Sequence

from impasto_server.recipes import Scale

# Weight of the latest step in the running mean of a step's time: about the last ten steps count.
_LATEST = 0.2


class Pace:
    """Learns from the steps made. A scale not yet reached is taken to cost the same time a pixel as the present one."""

    def __init__(self, scales: Sequence[Scale]) -> None:
        self._scales = scales
        self._scale = 0
        self._steps_seen = 0
        self._step_s = 0.0

    def made_step(self, scale: int, seconds: float) -> None:
        """A step at `scale` (from 1) took `seconds`."""
        if scale != self._scale:
            self._scale, self._steps_seen = scale, 0
        self._steps_seen += 1
        # The first step of a scale also looks at content and styles: it counts only until the second is made.
        share = 1 if self._steps_seen <= 2 else _LATEST
        self._step_s += share * (seconds - self._step_s)

    @property
    def steps_per_second(self) -> float:
        """Recent rate at the present scale; 0 before the first step."""
        return 1 / self._step_s if self._step_s > 0 else 0.0

    def seconds_left(self, step: int) -> float:
        """Estimated time to the end after `step` steps of the whole run."""
        left, before = 0.0, 0
        for index, scale in enumerate(self._scales, start=1):
            steps = max(0, before + scale.steps - max(step, before))
            left += steps * self._step_s * self._pixels(index) / self._pixels(self._scale)
            before += scale.steps
        return left

    def _pixels(self, scale: int) -> int:
        chosen = self._scales[max(scale, 1) - 1]
        return chosen.height_px * chosen.width_px
