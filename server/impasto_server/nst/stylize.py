"""Neural style transfer (Gatys et al. 2016) as a generator of steps: tensors in, steps out."""

import logging
from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from impasto_server.recipes import Recipe, Scale, plan

from . import room
from .descent import Descent
from .memory import is_out_of_memory
from .network import Network
from .objective import Style, network_input, objective
from .run import Checkpoint, State, Steering, Step, Weights, begun_from, restored
from .tiled import TiledNetwork
from .vgg import Vgg

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

    Raises `ValueError` for tensors or weights that don't fit, `CheckpointError` for another run's checkpoint, and
    while painting torch's own errors if not even the smallest tiles find room.
    """
    _check(content, styles)
    scales = plan(recipe, *content.shape[-2:])
    weights = Weights.of(recipe)
    kept_px = None
    if resume is not None:
        state, weights = restored(resume, recipe, scales, vgg.device)
        kept_px = int(resume.meta.get("tile_px", 0)) or None
    elif begin_from is not None:
        state = begun_from(begin_from, scales[0], recipe, vgg.device)
    else:
        state = State.start(_initial(content, recipe, scales[0], vgg.device), scales[0], recipe)
    tiles = _Tiles(recipe, kept_px, tile_px)
    return _steps(content, styles, recipe, scales, vgg, state, _steered(state, weights, steering), tiles)


def _steered(state: State, weights: Weights, steering: Steering | None) -> Weights:
    steered = weights.steered(steering)
    if steered != weights:
        state.optimiser.forget_slopes()
    return steered


class _Tiles:
    """The side of tiles, scale by scale."""

    def __init__(self, recipe: Recipe, kept_px: int | None, bound_px: int | None) -> None:
        self._recipe = recipe
        self._kept = kept_px
        self._bound = bound_px
        self.ran_out = False

    def side(self, size: Scale, network: Network) -> int | None:
        side, self._kept = self._kept, None  # the checkpoint's counts in the checkpoint's scale
        side = side or self._recipe.tile_px
        side = side or room.tile_px(size, network.bytes_per_pixel(), network.device, self._recipe)
        return side if self._bound is None else min(side or self._bound, self._bound)

    def shrink(self, side: int | None, size: Scale) -> int | None:
        """After running out of memory: the next smaller side, for the rest of the run. None: there is none."""
        self._bound = room.smaller(side, size)
        self.ran_out = True
        return self._bound


def _steps(
    content: Tensor,
    styles: Sequence[Style],
    recipe: Recipe,
    scales: tuple[Scale, ...],
    vgg: Vgg,
    state: State,
    weights: Weights,
    tiles: _Tiles,
) -> Generator[Step, Steering | None, None]:
    network = _network(recipe, vgg, content)
    done = sum(scale.steps for scale in scales[: state.scale]) + state.step_in_scale
    while done < recipe.steps:
        size = scales[state.scale]
        if state.step_in_scale == size.steps:
            size = scales[state.scale + 1]
            state = state.at_next_scale(size, recipe)
        side = tiles.side(size, network)
        descent: Descent | None = None
        while state.step_in_scale < size.steps:
            try:
                if descent is None:
                    here = objective(content, styles, recipe, size, TiledNetwork(network, side))
                    descent = Descent(state, here, recipe)
                terms = descent.step(weights)
            except RuntimeError as error:
                if not is_out_of_memory(error) or not tiles.shrink(side, size):
                    raise
                descent = None
            if descent is None:  # outside of the except clause, whose traceback keeps everything alive
                side = tiles.side(size, network)
                _release_memory(network.device)
                log.warning("out of memory: going on in tiles of %s px", side)
                continue
            done += 1
            steering = yield Step(
                scale=state.scale + 1,
                scales=len(scales),
                step=done,
                steps=recipe.steps,
                height_px=size.height_px,
                width_px=size.width_px,
                tile_px=side,
                ran_out_of_memory=tiles.ran_out,
                _terms=terms,
                _state=state,
                _weights=weights,
                _recipe=recipe,
            )
            tiles.ran_out = False
            weights = _steered(state, weights, steering)


def _release_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


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
        return network_input(content, size, device)
    generator = torch.Generator().manual_seed(recipe.seed)  # on the CPU: the same noise on every device
    noise = torch.rand((3, size.height_px, size.width_px), generator=generator)
    return network_input(noise, size, device)


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
