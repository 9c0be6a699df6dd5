"""The state of a run between two steps, what each step shows of it, and its frozen form, the checkpoint."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from impasto_server.recipes import Recipe, Scale

from . import pictures


@dataclass(frozen=True, slots=True)
class Losses:
    """Weighted terms, as they enter their sum `total`."""

    content: float
    style: float
    tv: float
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """New weights for a running job, from the next step on; None leaves a weight as it is."""

    content_weight: float | None = None
    style_weight: float | None = None
    tv_weight: float | None = None

    def then(self, newer: "Steering") -> "Steering":
        """Both, one after the other: where both set a weight, the newer one counts."""
        changes = {name: value for name, value in dataclasses.asdict(newer).items() if value is not None}
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of the three terms as they stand."""

    content: float
    style: float
    tv: float

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        return cls(recipe.content_weight, recipe.style_weight, recipe.tv_weight)

    def steered(self, steering: Steering | None) -> "Weights":
        if steering is None:
            return self
        return Weights(
            self.content if steering.content_weight is None else steering.content_weight,
            self.style if steering.style_weight is None else steering.style_weight,
            self.tv if steering.tv_weight is None else steering.tv_weight,
        )


class Checkpoint(NamedTuple):
    """A run frozen between two steps: CPU tensors by name, and the rest as JSON can carry it."""

    tensors: Mapping[str, Tensor]
    meta: Mapping[str, int | float | str]


class CheckpointError(ValueError):
    """A checkpoint that belongs to another run than the one it should resume."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A run between two steps. No tensor in it is ever changed in place.

    Pictures are normalised, (1, 3, height, width). `first` and `second` are Adam's moments of the gradient.
    """

    scale: int
    """Index into the plan."""
    step_in_scale: int
    adam_steps: int
    picture: Tensor
    average: Tensor
    first: Tensor
    second: Tensor

    @classmethod
    def start(cls, picture: Tensor) -> Self:
        return cls(0, 0, 0, picture, picture, torch.zeros_like(picture), torch.zeros_like(picture))

    def at_next_scale(self, size: Scale) -> "State":
        """The painting and the optimiser's memory, enlarged: the average becomes the picture to go on from."""
        height, width = size.height_px, size.width_px
        picture = pictures.clamped(pictures.enlarged(self.average, height, width))
        # Losses are means over positions: the more pixels there are, the less of the gradient each one gets.
        thinning = self.picture.shape[-2] * self.picture.shape[-1] / (height * width)
        return State(
            scale=self.scale + 1,
            step_in_scale=0,
            adam_steps=self.adam_steps,
            picture=picture,
            average=picture,
            # Bilinear, as that keeps first² ≤ second. Bicubic undershoots to second = 0 in places, where a single
            # step then goes as far as colours go: isolated dots.
            first=thinning * pictures.resized(self.first, height, width),
            second=thinning**2 * pictures.resized(self.second, height, width),
        )


_TENSORS = ("picture", "average", "first", "second")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Step:
    """One optimiser step, done. Its handles stay valid as long as it is kept, and cost nothing until called."""

    scale: int
    """From 1, of `scales`."""
    scales: int
    step: int
    """From 1, of `steps`, over the whole run."""
    steps: int
    height_px: int
    width_px: int
    _terms: Tensor
    _state: State
    _weights: Weights
    _recipe: Recipe

    def losses(self) -> Losses:
        """The weighted losses of the picture that this step started from. Waits for the device."""
        content, style, tv = self._terms.tolist()
        return Losses(content, style, tv, content + style + tv)

    def image(self) -> Tensor:
        """The picture so far, uint8 (height_px, width_px, 3) RGB on the CPU. Waits for the device."""
        return pictures.shown(self._state.average)

    def checkpoint(self) -> Checkpoint:
        """What `stylize(…, resume=…)` needs to go on exactly from here. Waits for the device."""
        state, weights = self._state, self._weights
        return Checkpoint(
            {name: getattr(state, name).contiguous().cpu() for name in _TENSORS},
            {
                "recipe": fingerprint(self._recipe),
                "step": self.step,
                "scale": state.scale,
                "step_in_scale": state.step_in_scale,
                "adam_steps": state.adam_steps,
                "content_weight": weights.content,
                "style_weight": weights.style,
                "tv_weight": weights.tv,
            },
        )


def restored(
    checkpoint: Checkpoint, recipe: Recipe, scales: tuple[Scale, ...], device: torch.device
) -> tuple[State, Weights]:
    """The state and weights a checkpoint holds. Raises `CheckpointError` where recipe or sizes differ."""
    tensors, meta = checkpoint
    if meta["recipe"] != fingerprint(recipe):
        raise CheckpointError("The checkpoint was made with another recipe; resume with the one the run began with.")
    scale = int(meta["scale"])
    expected = (1, 3, scales[scale].height_px, scales[scale].width_px) if scale < len(scales) else None
    for name in _TENSORS:
        if tuple(tensors[name].shape) != expected:
            raise CheckpointError(
                f"The checkpoint's {name} is {tuple(tensors[name].shape)}, but this content is painted at {expected} "
                "in that scale; resume with the content the run began with."
            )
    state = State(
        scale=scale,
        step_in_scale=int(meta["step_in_scale"]),
        adam_steps=int(meta["adam_steps"]),
        **{name: tensors[name].to(device) for name in _TENSORS},
    )
    return state, Weights(float(meta["content_weight"]), float(meta["style_weight"]), float(meta["tv_weight"]))


def begun_from(checkpoint: Checkpoint, size: Scale, device: torch.device) -> State:
    """The picture and the optimiser's memory of an ended run, at the size of the run that goes on from it."""
    tensors = {name: checkpoint.tensors[name].to(device) for name in _TENSORS}
    state = State(scale=-1, step_in_scale=0, adam_steps=int(checkpoint.meta["adam_steps"]), **tensors)
    if tensors["picture"].shape[-2:] == (size.height_px, size.width_px):
        return dataclasses.replace(state, scale=0)
    return state.at_next_scale(size)


def picture(checkpoint: Checkpoint) -> Tensor:
    """What a checkpoint looks like: uint8 (height_px, width_px, 3) RGB on the CPU."""
    return pictures.shown(checkpoint.tensors["average"])


def fingerprint(recipe: Recipe) -> str:
    """The same for equal recipes, another one for others."""
    plain = json.dumps(dataclasses.asdict(recipe), sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()
