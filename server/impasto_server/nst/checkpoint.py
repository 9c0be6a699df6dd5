"""Checkpoints: a run frozen between two steps, and taken up again."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from impasto_server.recipes import Recipe, Scale

from . import pictures
from .marks import Reading
from .state import OPTIMISERS, State
from .steering import Weights

_REVISION = 2
"""Of what the same recipe makes of the same pictures: a run of another one can't be gone on with to the same bytes."""


class Checkpoint(NamedTuple):
    """A run frozen between two steps: CPU tensors by name, and the rest as JSON can carry it."""

    tensors: Mapping[str, Tensor]
    meta: Mapping[str, int | float | str]


class CheckpointError(ValueError):
    """A checkpoint that belongs to another run than the one it should resume."""


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Where a run stands between two steps."""

    state: State
    weights: Weights
    tile_sides: tuple[int | None, ...]
    """By scale. Rounding differs between one tiling and another: to the same picture leads the same one."""
    losses: Reading
    """Of the latest step."""
    totals: tuple[float, ...]
    """Of the steps before it, as many as `Convergence` goes by."""


def frozen(standing: Standing, recipe: Recipe, *, step: int, whole: bool, copy: bool) -> Checkpoint:
    """A run after that many steps. `whole`: with all that going on exactly needs, not only beginning another run.

    Without `copy` the tensors are the run's own where that is on the CPU: good until the next step.
    """
    state, weights = standing.state, standing.weights
    remembered = state.optimiser.tensors() if whole else state.optimiser.lasting()
    tensors = {"picture": state.picture, **remembered}
    return Checkpoint(
        {name: tensor.to("cpu", copy=copy) for name, tensor in tensors.items()},
        {
            "recipe": fingerprint(recipe),
            "step": step,
            "scale": state.scale,
            "step_in_scale": state.step_in_scale,
            "count": state.count,
            "content_weight": weights.content,
            "style_weight": weights.style,
            "tv_weight": weights.tv,
            "tile_sides_px": json.dumps(standing.tile_sides),
            "losses": json.dumps(standing.losses.numbers()),
            "totals": json.dumps(standing.totals),
        },
    )


def restored(checkpoint: Checkpoint, recipe: Recipe, scales: tuple[Scale, ...], device: torch.device) -> Standing:
    """Where the run of a checkpoint stands. Raises `CheckpointError` where recipe or sizes differ."""
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
    return Standing(
        _state(checkpoint, scale, int(meta["step_in_scale"]), scales[scale], recipe, device),
        Weights(float(meta["content_weight"]), float(meta["style_weight"]), float(meta["tv_weight"])),
        tuple(json.loads(str(meta["tile_sides_px"]))),
        Reading(torch.tensor(json.loads(str(meta["losses"])), dtype=torch.float64)),
        tuple(json.loads(str(meta["totals"]))),
    )


def begun_from(checkpoint: Checkpoint, size: Scale, recipe: Recipe, device: torch.device) -> State:
    """The picture and the optimiser's memory of an ended run, at the size of the run that goes on from it."""
    state = _state(checkpoint, -1, 0, size, recipe, device)
    if state.picture.shape[-2:] != (size.height_px, size.width_px):
        return state.at_next_scale(size, recipe)
    state.scale = 0
    state.optimiser = state.optimiser.at_next_scale(size, 1.0, recipe)
    return state


def check_recipe(checkpoint: Checkpoint, recipe: Recipe) -> None:
    """Raises `CheckpointError` for a checkpoint of another recipe, be it of another version of this program."""
    if checkpoint.meta["recipe"] != fingerprint(recipe):
        raise CheckpointError("The checkpoint was made with another recipe; resume with the one the run began with.")


def rows(checkpoint: Checkpoint, recipe: Recipe, bits: int = 8) -> Iterator[Tensor]:
    """What a checkpoint of the recipe's looks like, as `Step.rows` has it."""
    return pictures.rows_shown(checkpoint.tensors["picture"], bits, down=recipe.rounds_down)


def fingerprint(recipe: Recipe) -> str:
    """The same for equal recipes, another one for others, and for others of this program's revisions."""
    plain = json.dumps({"revision": _REVISION, **dataclasses.asdict(recipe)}, sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()


def _state(
    checkpoint: Checkpoint, scale: int, step_in_scale: int, size: Scale, recipe: Recipe, device: torch.device
) -> State:
    own = {name: tensor.to(device, copy=True) for name, tensor in checkpoint.tensors.items()}
    picture, kind = own["picture"], OPTIMISERS[recipe.optimiser]
    optimiser, count = kind.of(own, recipe), int(checkpoint.meta.get("count", 0))
    if optimiser is None:  # a run with another optimiser is gone on from
        optimiser, count = kind.start(picture, size, recipe), 0
    return State(scale, step_in_scale, count, picture, optimiser)
