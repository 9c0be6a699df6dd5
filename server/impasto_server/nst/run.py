"""The state of a run between two steps, what each step shows of it, and its frozen form, the checkpoint."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Self

import torch
from torch import Tensor

from impasto_server.recipes import Recipe, Scale

from . import pictures
from .adam import Adam
from .optimiser import Optimiser, StepNumbers
from .quasi_newton import QuasiNewton


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


@dataclass(slots=True, eq=False)
class State:
    """A run between two steps. A step changes its tensors in place: there is room for one picture only.

    The picture is normalised, (1, 3, height, width).
    """

    scale: int
    """Index into the plan."""
    step_in_scale: int
    count: int
    """Steps that the optimiser was there for."""
    picture: Tensor
    optimiser: Optimiser

    @classmethod
    def start(cls, picture: Tensor, size: Scale, recipe: Recipe) -> Self:
        return cls(0, 0, 0, picture, _KINDS[recipe.optimiser].start(picture, size, recipe))

    def at_next_scale(self, size: Scale, recipe: Recipe) -> "State":
        """The painting and the optimiser's memory, enlarged."""
        height, width = size.height_px, size.width_px
        picture = pictures.clamp_(pictures.enlarged(self.picture, height, width))
        # Losses are means over positions: the more pixels there are, the less of the gradient each one gets.
        thinning = self.picture.shape[-2] * self.picture.shape[-1] / (height * width)
        return State(
            scale=self.scale + 1,
            step_in_scale=0,
            count=self.count,
            picture=picture,
            optimiser=self.optimiser.at_next_scale(size, thinning, recipe),
        )

    def step_numbers(self, recipe: Recipe) -> StepNumbers:
        """What differs at the next step."""
        decay = recipe.learning_rate_decay ** (self.step_in_scale // recipe.decay_every_steps)
        return self.optimiser.step_numbers(recipe.learning_rate * decay, self.count, recipe)

    def step(self, gradient: Tensor, numbers: Tensor, recipe: Recipe) -> None:
        """Takes a step, and uses up the gradient; its numbers as a tensor (2). Takes none where there is no memory."""
        self.optimiser.step(self.picture, gradient, numbers, recipe)

    def made_step(self) -> None:
        """Counts a step."""
        self.step_in_scale += 1
        self.count += 1


_KINDS: Mapping[str, type[Optimiser]] = MappingProxyType({"adam": Adam, "l-bfgs": QuasiNewton})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Step:
    """One optimiser step, done. What it shows is the run as it stands: look before you ask for the next step."""

    scale: int
    """From 1, of `scales`."""
    scales: int
    step: int
    """From 1, of `steps`, over the whole run."""
    steps: int
    height_px: int
    width_px: int
    tile_px: int | None
    """Longest side of the tiles it was painted in; None: in one piece."""
    ran_out_of_memory: bool
    """Whether that is less than before, because the device had no room for more."""
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
        return pictures.shown(self._state.picture)

    def look(self, max_size_px: int) -> "Look":
        """The picture so far, or a smaller copy of it whose long side is still `max_size_px` or more; stays."""
        return Look(pictures.shrunk(self._state.picture, max_size_px))

    def rows(self, bits: int = 8) -> Iterator[Tensor]:
        """The picture so far as bands of rows (rows, width_px, 3), uint8 or for 16 bits uint16, on the CPU."""
        return pictures.rows_shown(self._state.picture, bits)

    def checkpoint(self, *, copy: bool = True) -> Checkpoint:
        """What `stylize(…, resume=…)` needs to go on exactly from here. Waits for the device.

        Without `copy` the tensors are the run's own where that is on the CPU: good until the next step.
        """
        return self._frozen(self._state.optimiser.tensors(), copy=copy)

    def last_checkpoint(self) -> Checkpoint:
        """For a run that ends here: enough to begin another one with, not always to go on exactly. Good until the
        next step.
        """
        return self._frozen(self._state.optimiser.lasting(), copy=False)

    def _frozen(self, remembered: Mapping[str, Tensor], *, copy: bool) -> Checkpoint:
        state, weights = self._state, self._weights
        tensors = {"picture": state.picture, **remembered}
        return Checkpoint(
            {name: tensor.to("cpu", copy=copy) for name, tensor in tensors.items()},
            {
                "recipe": fingerprint(self._recipe),
                "step": self.step,
                "scale": state.scale,
                "step_in_scale": state.step_in_scale,
                "count": state.count,
                "content_weight": weights.content,
                "style_weight": weights.style,
                "tv_weight": weights.tv,
                # Rounding differs between one tiling and another: to the same picture leads the same one.
                "tile_px": self.tile_px or 0,
            },
        )


class Look:
    """A picture taken from a run, still on its device."""

    def __init__(self, picture: Tensor) -> None:
        self._picture = picture
        self._taken = None
        if picture.is_cuda:
            self._taken = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._taken.record()

    def image(self) -> Tensor:
        """uint8 (height, width, 3) RGB on the CPU. Waits for the device, but lets it go on: call it from any thread."""
        if self._taken is None:
            return pictures.shown(self._picture)
        with torch.cuda.stream(torch.cuda.Stream(self._picture.device)):  # type: ignore[no-untyped-call]
            self._taken.wait()
            return pictures.shown(self._picture)


def restored(
    checkpoint: Checkpoint, recipe: Recipe, scales: tuple[Scale, ...], device: torch.device
) -> tuple[State, Weights]:
    """The state and weights a checkpoint holds. Raises `CheckpointError` where recipe or sizes differ."""
    tensors, meta = checkpoint
    check_recipe(checkpoint, recipe)
    scale = int(meta["scale"])
    expected = (1, 3, scales[scale].height_px, scales[scale].width_px) if scale < len(scales) else None
    found = tuple(tensors["picture"].shape)
    if found != expected:
        raise CheckpointError(
            f"The checkpoint's picture is {found}, but this content is painted at {expected} in that scale; resume "
            "with the content the run began with."
        )
    state = _state(checkpoint, scale, int(meta["step_in_scale"]), scales[scale], recipe, device)
    return state, Weights(float(meta["content_weight"]), float(meta["style_weight"]), float(meta["tv_weight"]))


def check_recipe(checkpoint: Checkpoint, recipe: Recipe) -> None:
    """Raises `CheckpointError` for a checkpoint of another recipe, be it of another version of this program."""
    if checkpoint.meta["recipe"] != fingerprint(recipe):
        raise CheckpointError("The checkpoint was made with another recipe; resume with the one the run began with.")


def begun_from(checkpoint: Checkpoint, size: Scale, recipe: Recipe, device: torch.device) -> State:
    """The picture and the optimiser's memory of an ended run, at the size of the run that goes on from it."""
    state = _state(checkpoint, -1, 0, size, recipe, device)
    if state.picture.shape[-2:] != (size.height_px, size.width_px):
        return state.at_next_scale(size, recipe)
    state.scale = 0
    state.optimiser = state.optimiser.at_next_scale(size, 1.0, recipe)
    return state


def _state(
    checkpoint: Checkpoint, scale: int, step_in_scale: int, size: Scale, recipe: Recipe, device: torch.device
) -> State:
    own = {name: tensor.to(device, copy=True) for name, tensor in checkpoint.tensors.items()}
    picture, kind = own["picture"], _KINDS[recipe.optimiser]
    optimiser, count = kind.of(own, recipe), int(checkpoint.meta.get("count", 0))
    if optimiser is None:  # a run with another optimiser is gone on from
        optimiser, count = kind.start(picture, size, recipe), 0
    return State(scale, step_in_scale, count, picture, optimiser)


def rows(checkpoint: Checkpoint, bits: int = 8) -> Iterator[Tensor]:
    """What a checkpoint looks like, as `Step.rows` has it."""
    return pictures.rows_shown(checkpoint.tensors["picture"], bits)


def fingerprint(recipe: Recipe) -> str:
    """The same for equal recipes, another one for others."""
    plain = json.dumps(dataclasses.asdict(recipe), sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()
