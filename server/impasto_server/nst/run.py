"""Neural style transfer (Gatys et al. 2016) as a generator of steps: tensors in, steps out."""

import logging
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from impasto_server.recipes import Recipe, Scale, plan

from .checkpoint import Checkpoint, Standing, begun_from, restored
from .convergence import Convergence
from .devices import try_every_kernel
from .marks import Reading
from .memory import is_out_of_memory, release
from .network import Network
from .objective import Style, network_input, objective
from .recorder import Recorder
from .state import State
from .steering import Steering, Weights
from .step import DivergedError, Step
from .tile_sides import TileSides
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

    A device never has more than two steps to do: when a step comes, the one before it is done. A recipe with a
    `settled_share` ends when its losses have settled, as the steps before the latest tell, on any device alike.

    Raises `ValueError` for tensors or weights that don't fit, `CheckpointError` for another run's checkpoint, and
    while painting `DivergedError` for a picture that isn't finite any more, or torch's own errors if not even the
    smallest tiles find room.
    """
    _check(content, styles)
    scales = plan(recipe, *content.shape[-2:])
    network = Network.of(recipe, vgg)
    if resume is not None:
        standing = restored(resume, recipe, scales, vgg.device)
        state, weights, losses = standing.state, standing.weights, standing.losses
        tiles = TileSides(standing.tile_sides, scales, tile_px)
        convergence = Convergence(recipe, standing.totals)
    else:
        weights, losses = Weights.of(recipe), None
        tiles = TileSides.fitting(scales, network, recipe, tile_px)
        convergence = Convergence(recipe)
        if begin_from is not None:
            state = begun_from(begin_from, scales[0], recipe, vgg.device)
        else:
            state = State.start(_initial(content, recipe, scales[0], vgg.device), scales[0], recipe)
    run = _Run(content, styles, recipe, scales, vgg, network, state, weights, tiles, convergence, losses)
    run.steer(steering)
    return run.steps()


@dataclass(slots=True, eq=False)
class _Run:
    """A run that is under way: what it paints, how, and where it stands."""

    content: Tensor
    styles: Sequence[Style]
    recipe: Recipe
    scales: tuple[Scale, ...]
    vgg: Vgg
    network: Network
    state: State
    weights: Weights
    tiles: TileSides
    convergence: Convergence
    losses: Reading | None
    """Of the latest step; not yet looked at."""
    comparable: bool = field(init=False)
    """Whether they are of the same objective as those of the next step."""

    def __post_init__(self) -> None:
        self.comparable = self._in_last_scale

    def steps(self) -> Generator[Step, Steering | None, None]:
        done = sum(scale.steps for scale in self.scales[: self.state.scale]) + self.state.step_in_scale
        while done < self.recipe.steps and not self.convergence.settled:
            if self.state.step_in_scale == self._size.steps:
                self.state = self.state.at_next_scale(self.scales[self.state.scale + 1], self.recipe)
                self.comparable = False
            recorder: Recorder | None = None
            ran_out = False
            while self.state.step_in_scale < self._size.steps and not self.convergence.settled:
                try:
                    recorder = recorder or self._recorder()
                    reading = recorder.step(self.weights)
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error) or not self.tiles.shrink(self.state.scale):
                        raise
                    recorder = None
                if recorder is None:  # outside of the except clause, whose traceback keeps everything alive
                    ran_out = True
                    release(self.vgg.device)
                    log.warning("out of memory: going on in tiles of %s px", self.tiles[self.state.scale])
                    continue
                done += 1
                self._look_at_losses(done - 1)
                self.losses, self.comparable = reading, self._in_last_scale
                steering = yield self._step(done, reading, ran_out=ran_out)
                ran_out = False
                self.steer(steering)

    def steer(self, steering: Steering | None) -> None:
        """From the next step on."""
        steered = self.weights.steered(steering)
        if steered != self.weights:
            self.weights = steered
            self.state.optimiser.forget_slopes()
            self.convergence.forget()
            self.comparable = False

    @property
    def _size(self) -> Scale:
        return self.scales[self.state.scale]

    def _recorder(self) -> Recorder:
        tiled = TiledNetwork(self.network, self.tiles[self.state.scale])
        try_every_kernel(self.vgg.device, repeats=self._size.steps * len(tiled.pieces(self.state.picture)))
        here = objective(self.content, self.styles, self.recipe, self._size, tiled)
        return Recorder(self.state, here, self.recipe, recorded=self.vgg.shortcuts.recorded)

    @property
    def _in_last_scale(self) -> bool:
        return self.state.scale == len(self.scales) - 1

    def _look_at_losses(self, step: int) -> None:
        """Waits for the step before the one that was just asked for, and learns how it went.

        Total variation looks at every pixel: a step's losses tell of the whole picture that it began with.
        """
        if self.losses is None:
            return
        total = sum(self.losses.numbers())
        if not math.isfinite(total):
            raise DivergedError(step - 1)
        if self.comparable:
            self.convergence.take(total)

    def _step(self, done: int, losses: Reading, *, ran_out: bool) -> Step:
        left = self.recipe.steps - done
        if self._in_last_scale:
            left = self.convergence.steps_left(self.state.step_in_scale, self._size.steps)
        return Step(
            scale=self.state.scale + 1,
            scales=len(self.scales),
            step=done,
            steps=done + left,
            height_px=self._size.height_px,
            width_px=self._size.width_px,
            tile_px=self.tiles[self.state.scale],
            ran_out_of_memory=ran_out,
            _recipe=self.recipe,
            _standing=Standing(self.state, self.weights, self.tiles.all(), losses, self.convergence.totals),
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
