"""`bench.convergence` as it is, pair by pair, as far as there is time."""

from __future__ import annotations

from collections.abc import Iterator

from bench import convergence
from bench.gpu.ledger import Finding
from bench.gpu.setting import Setting
from bench.report import Found


def measure(setting: Setting) -> Iterator[Found | Finding]:
    """The rows of both contestants; the last ones are the medians, against their goal."""
    for found in convergence.measure(device=setting.device, **setting.sizes.race):
        yield found
        if setting.left_s <= 0:
            yield Finding(what="what is left of the race", state="left out", note="no time")
            return
