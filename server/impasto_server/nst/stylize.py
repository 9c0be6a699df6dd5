"""Neural style transfer (Gatys et al. 2016) as a generator of steps: tensors in, steps out."""

from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from impasto_server.recipes import Recipe, Scale, plan

from . import pictures
from .devices import fastest_precision
from .objective import Objective, Style, network_input, objective
from .run import Checkpoint, State, Steering, Step, Weights, begun_from, restored
from .vgg import Vgg

_EPSILON = 1e-8
"""Adam's, as in Kingma & Ba 2015."""


def stylize(
    content: Tensor,
    styles: Sequence[Style],
    recipe: Recipe,
    *,
    vgg: Vgg,
    resume: Checkpoint | None = None,
    begin_from: Checkpoint | None = None,
    steering: Steering | None = None,
) -> Generator[Step, Steering | None, None]:
    """Paint the content in the manner of the styles, a `Step` at a time.

    Content and styles: float32 (3, H, W) RGB in [0, 1], at their own resolution, on any device; they are resized
    here. Weights of styles are taken in proportion. `send(Steering(…))` changes weights from the next step on.
    `resume` goes on from a step's checkpoint: with equal inputs, device and thread count, to the same picture.
    `begin_from` makes another run's last picture and optimiser state the beginning of this one, instead of the
    recipe's initial image. `steering` changes weights from the first step on that is made here.

    Raises `ValueError` for tensors or weights that don't fit, `CheckpointError` for another run's checkpoint.
    """
    _check(content, styles)
    scales = plan(recipe, *content.shape[-2:])
    if recipe.precision == "fastest":
        vgg = vgg.in_precision(fastest_precision(vgg.device))
    weights = Weights.of(recipe)
    if resume is not None:
        state, weights = restored(resume, recipe, scales, vgg.device)
    elif begin_from is not None:
        state = begun_from(begin_from, scales[0], vgg.device)
    else:
        state = State.start(_initial(content, recipe, scales[0], vgg))
    return _steps(content, styles, recipe, scales, vgg, state, weights.steered(steering))


def _steps(
    content: Tensor,
    styles: Sequence[Style],
    recipe: Recipe,
    scales: tuple[Scale, ...],
    vgg: Vgg,
    state: State,
    weights: Weights,
) -> Generator[Step, Steering | None, None]:
    done = sum(scale.steps for scale in scales[: state.scale]) + state.step_in_scale
    while done < recipe.steps:
        size = scales[state.scale]
        if state.step_in_scale == size.steps:
            size = scales[state.scale + 1]
            state = state.at_next_scale(size)
        here = objective(content, styles, recipe, size, vgg)
        while state.step_in_scale < size.steps:
            state, terms = _step(state, here, weights)
            done += 1
            steering = yield Step(
                scale=state.scale + 1,
                scales=len(scales),
                step=done,
                steps=recipe.steps,
                height_px=size.height_px,
                width_px=size.width_px,
                _terms=terms,
                _state=state,
                _weights=weights,
                _recipe=recipe,
            )
            weights = weights.steered(steering)


def _step(state: State, here: Objective, weights: Weights) -> tuple[State, Tensor]:
    picture = state.picture.detach().requires_grad_()
    terms = here.terms(picture, weights)
    (gradient,) = torch.autograd.grad(terms.sum(), picture)
    with torch.no_grad():
        return _descended(state, gradient, here.recipe), terms.detach()


def _descended(state: State, gradient: Tensor, recipe: Recipe) -> State:
    """A step of Adam (Kingma & Ba 2015, algorithm 1), and its share in the average of pictures."""
    beta1, beta2 = recipe.betas
    count = state.adam_steps + 1
    first = beta1 * state.first + (1 - beta1) * gradient
    second = beta2 * state.second + (1 - beta2) * gradient.square()
    rate = recipe.learning_rate * recipe.learning_rate_decay ** (state.step_in_scale // recipe.decay_every_steps)
    direction = (first / (1 - beta1**count)) / ((second / (1 - beta2**count)).sqrt() + _EPSILON)
    picture = state.picture - rate * direction
    if recipe.clamp:
        picture = pictures.clamped(picture)
    step_in_scale = state.step_in_scale + 1
    # Corrected for its short past as Adam's moments are; the picture that a scale began with counts as one step.
    share = (1 - recipe.averaging) / (1 - recipe.averaging ** (step_in_scale + 1))
    average = state.average + share * (picture - state.average)
    return State(state.scale, step_in_scale, count, picture, average, first, second)


def _initial(content: Tensor, recipe: Recipe, size: Scale, vgg: Vgg) -> Tensor:
    if recipe.initial_image == "content":
        return network_input(content, size, vgg)
    generator = torch.Generator().manual_seed(recipe.seed)  # on the CPU: the same noise on every device
    return network_input(torch.rand((3, size.height_px, size.width_px), generator=generator), size, vgg)


def _check(content: Tensor, styles: Sequence[Style]) -> None:
    if not styles:
        raise ValueError("There is no style; expected at least one (image, weight).")
    images = {"content": content} | {f"style {number}": image for number, (image, _) in enumerate(styles, start=1)}
    for name, image in images.items():
        if image.ndim != 3 or image.shape[0] != 3 or not image.is_floating_point() or 0 in image.shape:
            raise ValueError(f"{name} is {tuple(image.shape)} {image.dtype}; expected float32 (3, H, W) RGB in [0, 1].")
    weights = [weight for _, weight in styles]
    if not all(0 <= weight < float("inf") for weight in weights) or not sum(weights):
        raise ValueError(f"The styles' weights are {weights}; expected finite numbers from 0, not all of them 0.")
