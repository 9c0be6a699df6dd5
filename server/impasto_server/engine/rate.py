"""How fast a run goes and how long it still takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from impasto_server.recipes import Scale

_FEWEST_STEPS = 10
"""A rate is a mean over the last ten steps, or over as many as half a second took."""
_WINDOW_S = 0.5


class Rate:
    """Learns from the steps made. A scale not yet reached is taken to cost the same time a pixel as the present one."""

    def __init__(self, scales: Sequence[Scale]) -> None:
        self._scales = scales
        self._scale = 0
        self._steps_seen = 0
        self._recent: deque[float] = deque()
        self._recent_s = 0.0

    def made_step(self, scale: int, seconds: float) -> None:
        """A step at `scale` (from 1) took `seconds`."""
        if scale != self._scale:
            self._scale, self._steps_seen = scale, 0
        self._steps_seen += 1
        # The first step of a scale also looks at content and styles: it counts only until the second is made.
        if self._steps_seen <= 2:
            self._recent.clear()
            self._recent_s = 0.0
        self._recent.append(seconds)
        self._recent_s += seconds
        while len(self._recent) > _FEWEST_STEPS and self._recent_s - self._recent[0] >= _WINDOW_S:
            self._recent_s -= self._recent.popleft()

    @property
    def steps_per_second(self) -> float:
        """Recent rate at the present scale; 0 before the first step."""
        return len(self._recent) / self._recent_s if self._recent_s > 0 else 0.0

    def seconds_left(self, step: int, steps: int) -> float:
        """Estimated time to the end after `step` of about `steps` steps of the whole run."""
        left, before = 0.0, 0
        for index, scale in enumerate(self._scales, start=1):
            here = max(0, min(before + scale.steps, steps) - max(step, before))
            left += here * self._step_s * self._pixels(index) / self._pixels(self._scale)
            before += scale.steps
        return left

    @property
    def _step_s(self) -> float:
        return self._recent_s / len(self._recent) if self._recent else 0.0

    def _pixels(self, scale: int) -> int:
        chosen = self._scales[max(scale, 1) - 1]
        return chosen.height_px * chosen.width_px
