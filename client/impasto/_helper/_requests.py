"""What a host asks for, read from a frame into frozen records. Says in a sentence what doesn't fit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from impasto._exceptions import ParameterError
from impasto._helper._fields import number, read_raw, text
from impasto._helper._frames import Frame
from impasto._helper._pixels import Raw
from impasto._helper._styles import StyleChoice, read_styles
from impasto._requests import JobOptions

LARGEST_PREVIEW_PX = 4096
MIDDLE = 50.0
"""Where a slider leaves the recipe's own weight alone."""
RANGE = 16.0
"""The factor on a weight at a slider's end."""


@dataclass(frozen=True, slots=True)
class Sliders:
    """Two plain sliders from 0 to 100; 50 is the recipe's own."""

    strength: float = MIDDLE
    """Style against content."""
    smoothness: float = MIDDLE

    def weights(self, recipe_defaults: Mapping[str, str]) -> dict[str, float]:
        """The weights of the contract that the sliders stand for."""
        style, tv = float(recipe_defaults["style_weight"]), float(recipe_defaults["tv_weight"])
        return {"style_weight": scaled(style, self.strength), "tv_weight": scaled(tv, self.smoothness)}

    def changed_weights(self, recipe_defaults: Mapping[str, str]) -> dict[str, float]:
        """The same; empty in the middle, where the recipe's own are left unsaid."""
        return self.weights(recipe_defaults) if self != Sliders() else {}


def scaled(weight: float, slider: float) -> float:
    """A weight times 1/16 (slider at 0) to 16 (slider at 100)."""
    return float(weight * RANGE ** ((slider - MIDDLE) / MIDDLE))


@dataclass(frozen=True, slots=True)
class PaintRequest:
    """Everything that one painting needs."""

    content: Raw
    styles: tuple[StyleChoice, ...]
    recipe: str
    size_px: int
    """Long side that is painted; 0 is the recipe's own. Never larger than the content."""
    steps: int
    """0 is the recipe's own."""
    seed: int
    depth: int
    preview_px: int
    """Long side of previews; 0 wants none."""
    initial_image: str = ""
    """`content` or `noise`; empty is the recipe's own."""
    learning_rate: float = 0
    """0 is the recipe's own."""
    weights: str = ""
    """Empty is the server's default."""
    continue_from: str = ""
    """Name of the job whose last picture this one begins with; empty for none."""
    note: Mapping[str, Any] = field(default_factory=dict)
    """Whatever the host wants to know of the job later."""

    def options(self, recipe: str, size_px: int) -> JobOptions:
        """What is asked of the server. The sliders' weights come beside it: they depend on the recipe."""
        options: JobOptions = {"recipe": recipe, "size_px": size_px, "seed": self.seed}
        if self.steps:
            options["steps"] = self.steps
        if self.learning_rate:
            options["learning_rate"] = self.learning_rate
        if self.initial_image:
            # A wrong word is the client's to refuse.
            options["initial_image"] = cast(Literal["content", "noise"], self.initial_image)
        if self.weights:
            options["weights"] = self.weights
        if self.depth == 16:
            options["bits_per_channel"] = 16
        return options


def read_paint_request(frame: Frame) -> PaintRequest:
    """The request of a `paint` frame. Raises ParameterError or ImageError."""
    head = frame.head
    note = head.get("note") or {}
    if not isinstance(note, dict):
        raise ParameterError(f"note is {note!r}; an object was expected.")
    return PaintRequest(
        content=read_raw(head.get("content"), frame, "content"),
        styles=read_styles(head.get("style"), frame),
        recipe=text(head, "recipe"),
        size_px=int(number(head, "size_px", 0, 0, 1 << 16)),
        steps=int(number(head, "steps", 0, 0, 1 << 20)),
        seed=int(number(head, "seed", 0, 0, 2**63 - 1)),
        depth=read_depth(head),
        preview_px=int(number(head, "preview_px", 0, 0, LARGEST_PREVIEW_PX)),
        initial_image=text(head, "initial_image"),
        learning_rate=number(head, "learning_rate", 0, 0, 100),
        weights=text(head, "weights"),
        continue_from=text(head, "continue_from"),
        note=note,
    )


def read_depth(head: Mapping[str, Any]) -> int:
    """Bits a channel of a result. Raises ParameterError."""
    depth = number(head, "depth", 8, 8, 16)
    if depth not in (8, 16):
        raise ParameterError(f"depth is {depth}; 8 or 16 was expected.")
    return int(depth)


def read_sliders(head: Mapping[str, Any]) -> Sliders:
    """Strength and smoothness. Raises ParameterError."""
    return Sliders(number(head, "strength", MIDDLE, 0, 100), number(head, "smoothness", MIDDLE, 0, 100))
