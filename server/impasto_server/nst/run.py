"""Neural style transfer (Gatys et al. 2016) as a generator of steps: tensors in, steps out."""

import logging
import math
from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from impasto_server.recipes import Recipe, Scale, plan

from .checkpoint import Checkpoint, begun_from, restored
from .devices import try_every_kernel
from .marks import Reading
from .memory import is_out_of_memory, release
from .objective import Style, network_input, objective
from .recorder import Recorder
from .state import State
from .steering import Steering, Weights
from .step import DivergedError, Step
from .tile_sides import TileSides
from .tiled import TiledNetwork
from .vgg import Network, Vgg

log = logging.getLogger(__name__)


def stylize(
    content: Tensor,
    styles: Sequence[Style],
    recipe: Recipe,
    *,
    vgg: Vgg,
    resume: Checkpoint | None = None,
    begin_from: Checkpoint | None = None,
    steering: Steering | None = None,
    tile_px: int | None = None,
) -> Generator[Step, Steering | None, None]:
    """Paint the content in the manner of the styles, a `Step` at a time.

    Content and styles: (3, H, W) RGB, floats in [0, 1] or uint8, at their own resolution, on any device; they are
    resized here. Weights of styles are taken in proportion. `send(Steering(…))` changes weights from the next step
    on. `resume` goes on from a step's checkpoint: with equal inputs, device and thread count, to the same picture.
    `begin_from` makes another run's last picture and optimiser state the beginning of this one, instead of the
    recipe's initial image. `steering` changes weights from the first step on that is made here. `tile_px` bounds the
    tiles' sides for a device that has run out of memory before; without it they are the recipe's, the checkpoint's,
    or as large as free memory allows.

    A device never has more than two steps to do: when a step comes, the one before it is done.

    Raises `ValueError` for tensors or weights that don't fit, `CheckpointError` for another run's checkpoint, and
    while painting `DivergedError` for a picture that isn't finite any more, or torch's own errors if not even the
    smallest tiles find room.
    """
    _check(content, styles)
    scales = plan(recipe, *content.shape[-2:])
    network = _network(recipe, vgg, content)
    if resume is not None:
        state, weights, sides = restored(resume, recipe, scales, vgg.device)
        tiles = TileSides(sides, scales, tile_px)
    else:
        weights = Weights.of(recipe)
        tiles = TileSides.fitting(scales, network, recipe, tile_px)
        if begin_from is not None:
            state = begun_from(begin_from, scales[0], recipe, vgg.device)
        else:
            state = State.start(_initial(content, recipe, scales[0], vgg.device), scales[0], recipe)
    return _steps(content, styles, recipe, scales, vgg, network, state, _steered(state, weights, steering), tiles)


def _steered(state: State, weights: Weights, steering: Steering | None) -> Weights:
    steered = weights.steered(steering)
    if steered != weights:
        state.optimiser.forget_slopes()
    return steered


def _steps(
    content: Tensor,
    styles: Sequence[Style],
    recipe: Recipe,
    scales: tuple[Scale, ...],
    vgg: Vgg,
    network: Network,
    state: State,
    weights: Weights,
    tiles: TileSides,
) -> Generator[Step, Steering | None, None]:
    done = sum(scale.steps for scale in scales[: state.scale]) + state.step_in_scale
    before: Reading | None = None
    while done < recipe.steps:
        size = scales[state.scale]
        if state.step_in_scale == size.steps:
            size = scales[state.scale + 1]
            state = state.at_next_scale(size, recipe)
        ran_out = False
        recorder: Recorder | None = None
        while state.step_in_scale < size.steps:
            try:
                if recorder is None:
                    tiled = TiledNetwork(network, tiles[state.scale])
                    try_every_kernel(vgg.device, repeats=size.steps * len(tiled.pieces(state.picture)))
                    here = objective(content, styles, recipe, size, tiled)
                    recorder = Recorder(state, here, recipe, recorded=vgg.shortcuts.recorded)
                reading = recorder.step(weights)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or not tiles.shrink(state.scale):
                    raise
                recorder = None
            if recorder is None:  # outside of the except clause, whose traceback keeps everything alive
                ran_out = True
                release(network.device)
                log.warning("out of memory: going on in tiles of %s px", tiles[state.scale])
                continue
            done += 1
            if before is not None:
                _check_finite(before, done - 1)
            before = reading
            steering = yield Step(
                scale=state.scale + 1,
                scales=len(scales),
                step=done,
                steps=recipe.steps,
                height_px=size.height_px,
                width_px=size.width_px,
                tile_px=tiles[state.scale],
                ran_out_of_memory=ran_out,
                _reading=reading,
                _state=state,
                _weights=weights,
                _recipe=recipe,
                _tile_sides=tiles.all(),
            )
            ran_out = False
            weights = _steered(state, weights, steering)


def _check_finite(reading: Reading, step: int) -> None:
    """Waits for a step. Total variation looks at every pixel: its losses tell of the whole picture before it."""
    if not math.isfinite(sum(reading.numbers())):
        raise DivergedError(step - 1)


def _network(recipe: Recipe, vgg: Vgg, content: Tensor) -> Network:
    fastest = recipe.precision == "fastest" and content.dtype != torch.float64
    dtype = vgg.shortcuts.reduced if fastest else vgg.convolutions["conv1_1"].weight.dtype
    return Network(
        vgg,
        {*recipe.content_layers, *recipe.style_layers},
        pooling=recipe.pooling,
        # Zeros around a picture are a frame that the painting would answer with one of its own.
        replicate_border=recipe.objective == "relative",
        dtype=dtype,
    )


def _initial(content: Tensor, recipe: Recipe, size: Scale, device: torch.device) -> Tensor:
    if recipe.initial_image == "content":
        return network_input(content, recipe, size, device)
    generator = torch.Generator().manual_seed(recipe.seed)  # on the CPU: the same noise on every device
    noise = torch.rand((3, size.height_px, size.width_px), generator=generator)
    return network_input(noise, recipe, size, device)


def _check(content: Tensor, styles: Sequence[Style]) -> None:
    if not styles:
        raise ValueError("There is no style; expected at least one (image, weight).")
    images = {"content": content} | {f"style {number}": image for number, (image, _) in enumerate(styles, start=1)}
    for name, image in images.items():
        colours = image.is_floating_point() or image.dtype == torch.uint8
        if image.ndim != 3 or image.shape[0] != 3 or not colours or 0 in image.shape:
            raise ValueError(
                f"{name} is {tuple(image.shape)} {image.dtype}; expected (3, H, W) RGB, floats in [0, 1] or uint8."
            )
    weights = [weight for _, weight in styles]
    if not all(0 <= weight < float("inf") for weight in weights) or not sum(weights):
        raise ValueError(f"The styles' weights are {weights}; expected finite numbers from 0, not all of them 0.")
