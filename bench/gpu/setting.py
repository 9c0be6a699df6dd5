"""What every part of the run is given: the device, how large everything is, the folder, and the time that is left."""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from bench.gpu.ledger import Finding
from bench.pictures import filled, painting
from bench.report import Found
from impasto_server import nst
from impasto_server.recipes import RECIPES, Recipe, customise

CONTENT, STYLE = "lagoon-wash", "night-swirl"
"""Paintings of the gallery: they are there wherever the source is."""
PROPORTIONS = 2 / 3
"""Height over width of what is painted; sizes are those of the long side."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large and how long. Sides in pixels, slices of steps in seconds."""

    correct_px: int
    speed_px: tuple[int, ...]
    book_px: tuple[int, int]
    """Height and width of the book's picture."""
    classic_px: int
    switched_px: tuple[int, ...]
    """Where each shortcut is switched off."""
    recorded_px: tuple[int, ...]
    painting_px: int
    painting_steps: int
    latency_px: tuple[int, ...]
    latency_s: float
    memory_px: int
    profile_px: tuple[int, ...]
    slices: int
    slice_s: float
    race: Mapping[str, int]
    """What `bench.convergence` is told. Its book must not be done before `classic` is."""
    ceiling_s: float


FULL = Sizes(
    correct_px=211,
    speed_px=(512, 1024, 2048, 4096),
    book_px=(300, 450),
    classic_px=512,
    switched_px=(512, 2048),
    recorded_px=(128, 512, 2048),
    painting_px=512,
    painting_steps=RECIPES["painterly"].steps,
    latency_px=(512, 2048),
    latency_s=4.0,
    memory_px=4096,
    profile_px=(512, 2048),
    slices=5,
    slice_s=0.4,
    race={"pairs": 2, "repeats": 3, "textbook_slice_steps": 20},
    ceiling_s=1.0,
)
SMOKE = Sizes(
    correct_px=49,
    speed_px=(48,),
    book_px=(32, 48),
    classic_px=64,
    switched_px=(48,),
    recorded_px=(48,),
    painting_px=64,
    painting_steps=8,
    latency_px=(48,),
    latency_s=1.2,
    memory_px=64,
    profile_px=(48,),
    slices=1,
    slice_s=0.01,
    race={
        "pairs": 1, "repeats": 1, "height_px": 48, "width_px": 64, "steps": 6, "own_steps": 6, "slice_steps": 3,
        "textbook_slice_steps": 1,
    },
    ceiling_s=0.02,
)  # fmt: skip
"""To see that everything runs: the numbers mean nothing."""


@dataclass(frozen=True, slots=True)
class Setting:
    """`until` is when the part should be over, by `time.monotonic`."""

    device: torch.device
    sizes: Sizes
    folder: Path
    until: float

    @property
    def left_s(self) -> float:
        """Seconds until the part should be over."""
        return self.until - time.monotonic()

    @property
    def vgg(self) -> nst.Vgg:
        """The original weights on the device, with every shortcut that such a device is made for."""
        return _vgg(self.device)

    @property
    def trusted_vgg(self) -> nst.Vgg:
        """With the shortcuts that a worker takes after its self-check."""
        return _trusted_vgg(self.device)

    def case(self, what: str, found: Iterator[Found | Finding]) -> Iterator[Found | Finding]:
        """What is found in one case of a part. If it fails, the part goes on, unless the device is lost to the process.

        It isn't begun when the part should be over.
        """
        if self.left_s <= 0:
            yield Finding(what=what, state="left out", note="no time")
            return
        try:
            yield from found
        except Exception as error:
            if not nst.is_alive(self.device):
                raise
            traceback.print_exc()
            yield Finding(what=what, state="failed", note=f"{type(error).__name__}: {error}")


@functools.cache
def _vgg(device: torch.device) -> nst.Vgg:
    return nst.load_vgg("original", device)


@functools.cache
def _trusted_vgg(device: torch.device) -> nst.Vgg:
    trusted, _ = nst.check_shortcuts(_vgg(device))
    return replace(_vgg(device), shortcuts=trusted)


def sized(name: str, height_px: int, width_px: int, *, steps: int = 10_000) -> Recipe:
    """A recipe at one scale, of exactly this size; by default with more steps than anybody makes."""
    return customise(name, {"height_px": height_px, "width_px": width_px, "steps": steps}).at_one_scale()


def height_of(width_px: int) -> int:
    """In the usual proportions."""
    return round(PROPORTIONS * width_px)


def content_of(height_px: int, width_px: int) -> Tensor:
    """As a worker has it: uint8 (3, height, width)."""
    return (255 * filled(painting(CONTENT), height_px, width_px)).round().to(torch.uint8)


def style() -> Tensor:
    """Floats (3, H, W) in [0, 1]."""
    return painting(STYLE)
