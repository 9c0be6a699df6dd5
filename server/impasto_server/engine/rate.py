"""How fast a run goes and how long it still takes.

Times of steps on a CPU and what became of the predictions are in docs/performance.md.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from impasto_server.recipes import Scale

_FEWEST_STEPS = 10
"""A rate is a mean over the last ten steps, or over as many as half a second took."""
_WINDOW_S = 0.5
_FIRST_STEP_MORE = 2.0
"""The first step of a scale also looks at content and styles, which takes as long as so many steps more."""
_GROWTH = 0.8
"""A step takes longer by this power of its pixels, until two scales have been seen: small ones have overhead, too."""
_LEAST_GROWTH = 0.3
_TRUSTED_STEPS = 2.0
"""What the scale before foretold of this one's steps counts like so many of them, and fades out over the first ten."""
_SLOWER_SHARE, _FASTER_SHARE = 0.25, 0.05
"""What is told approaches what is estimated within so much of the time left: jumps help nobody to plan."""


class Rate:
    """Learns from the steps made, at this scale and at those before."""

    def __init__(self, scales: Sequence[Scale]) -> None:
        self._scales = scales
        self._scale = 0
        self._steps_seen = 0
        self._recent: deque[float] = deque()
        self._recent_s = 0.0
        self._before: tuple[int, float] | None = None
        """The scale before, and what a step took there in the end."""
        self._foretold_s: float | None = None
        self._told_s = 0.0
        self._since_told_s = 0.0

    def made_step(self, scale: int, seconds: float) -> None:
        """A step at `scale` (from 1) took `seconds`."""
        self._since_told_s += seconds
        if scale != self._scale:
            if self._scale:
                self._foretold_s = self._expected_step_s(scale)
                self._before = self._scale, self._step_s
            self._scale, self._steps_seen = scale, 0
        self._steps_seen += 1
        # The first step of a scale counts only until the second is made.
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
        """Estimated time to the end after `step` of about `steps` steps of the whole run.

        It is told smoothly: each answer goes only a part of the way from the last one to the latest estimate.
        """
        estimate = self._estimate(step, steps)
        if not self._told_s or estimate <= 0:
            self._told_s = estimate
        else:
            expected = max(0.0, self._told_s - self._since_told_s)
            share = _SLOWER_SHARE if estimate > expected else _FASTER_SHARE
            self._told_s = estimate + (expected - estimate) * math.exp(-self._since_told_s / (share * estimate))
        self._since_told_s = 0.0
        return self._told_s

    def _estimate(self, step: int, steps: int) -> float:
        left, before = 0.0, 0
        for index, scale in enumerate(self._scales, start=1):
            here: float = max(0, min(before + scale.steps, steps) - max(step, before))
            if here and index > self._scale:
                here += _FIRST_STEP_MORE
            left += here * self._expected_step_s(index)
            before += scale.steps
        return left

    def _expected_step_s(self, scale: int) -> float:
        """What a step takes at a scale that hasn't been reached, or at the present one."""
        return self._step_s * math.pow(self._pixels(scale) / self._pixels(self._scale), self._growth)

    @property
    def _step_s(self) -> float:
        """What a step takes at the present scale."""
        if not self._recent:
            return 0.0
        count, seconds = float(len(self._recent)), self._recent_s
        if self._steps_seen == 1:
            seconds /= 1 + _FIRST_STEP_MORE
        trust = _TRUSTED_STEPS * (1 - (self._steps_seen - 1) / _FEWEST_STEPS)
        if self._foretold_s is not None and trust > 0:
            count, seconds = count + trust, seconds + trust * self._foretold_s
        return seconds / count

    @property
    def _growth(self) -> float:
        """How a step's time grows with its pixels from here on: the larger, the more pixels are all that counts."""
        if self._before is None or self._steps_seen < 2:
            return _GROWTH
        scale, step_s = self._before
        pixels = self._pixels(self._scale) / self._pixels(scale)
        if pixels <= 1 or step_s <= 0 or self._step_s <= 0:
            return _GROWTH
        seen = math.log(self._step_s / step_s) / math.log(pixels)
        return min(1.0, max(_LEAST_GROWTH, (seen + 1) / 2))

    def _pixels(self, scale: int) -> int:
        chosen = self._scales[max(scale, 1) - 1]
        return chosen.height_px * chosen.width_px
