"""What a device is trusted with: a few steps of a small picture by its shortcuts, against plain kernels in float32.

Nobody can try what users own: GPUs, drivers and libraries of every age. A shortcut that goes wrong here is not taken.
The device is warm afterwards: its libraries are loaded, and our kernels are built.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from impasto_server.recipes import RECIPES, Recipe

from .devices import DeviceLostError, is_alive
from .memory import is_out_of_memory
from .pictures import denormalised, normalised
from .run import stylize
from .shortcuts import NO_SHORTCUTS, Shortcuts
from .unit_mean import dead_leaves
from .vgg import Vgg

log = logging.getLogger(__name__)

_SIDE_PX = 32
_STEPS = 2
_STEPS_RECORDED = 5
"""Enough for one to be recorded and one to be replayed."""
_MOST_APART = {torch.float32: 0.01, torch.float16: 0.25, torch.bfloat16: 0.5}
"""How far pictures may lie apart, in units of how far they have come: rounding grows from step to step."""
_POISON_BYTES = 2**26
_STYLE = ("relu1_1", "relu2_1", "conv3_1")
"""Deeper layers would take longest, and go through the same kernels."""
_PAINTERLY = replace(RECIPES["painterly"], size_px=_SIDE_PX, coarsest_px=None, style_layers=_STYLE)
_TEXTBOOK = replace(
    RECIPES["fast-classic"],
    height_px=_SIDE_PX,
    width_px=_SIDE_PX,
    precision="exact",
    content_layers=("relu4_1",),
    style_layers=_STYLE,
)
_RECIPES = (_PAINTERLY, _TEXTBOOK)
"""In reduced precision where that is faster, and in float32; with either kind of borders and of pooling. Not Adam: its
first steps go by the slope's sign, so that rounding is all that pictures tell of."""

_NAMES = {
    "reduced": "reduced precision",
    "fused": "fused convolutions",
    "own_kernels": "Impasto's own kernels",
    "recorded": "recorded steps",
}
"""In the order in which they are tried, each beside those before it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    """What plain kernels make of a recipe."""

    recipe: Recipe
    painted: Tensor


ALL_AT_ONCE = "all"
"""What is tried first; only where that goes wrong, one shortcut after the other."""


def check_shortcuts(
    vgg: Vgg, *, trying: Callable[[str], None] = lambda _: None, deadly: Collection[str] = ()
) -> tuple[Shortcuts, tuple[str, ...]]:
    """Those of the network's shortcuts that agree with plain kernels on its device, and a sentence on each other one.

    `trying` is told the name of each before it is tried: what goes wrong may take the process with it. `deadly` are
    those that did: they aren't tried again. Raises what torch raises if the device can't paint with plain kernels
    either, and `DeviceLostError` if a shortcut cost the process its device.
    """
    wanted = vgg.shortcuts
    steps = _STEPS_RECORDED if wanted.recorded else _STEPS
    recipes = [replace(recipe, steps=steps) for recipe in _RECIPES]
    truths = [_Picture(recipe, _painted(vgg, NO_SHORTCUTS, recipe)) for recipe in recipes]
    if ALL_AT_ONCE not in deadly:
        trying(ALL_AT_ONCE)
        if not _complaint(vgg, wanted, truths):
            return wanted, ()
    trusted, notices = NO_SHORTCUTS, []
    for field, name in _NAMES.items():
        further = replace(trusted, **{field: getattr(wanted, field)})
        if further == trusted:
            continue
        if field in deadly:
            complaint = "a worker died of it"
        else:
            trying(field)
            complaint = _complaint(vgg, further, truths)
        if complaint:
            notices.append(f"{vgg.device} goes without {name}: {complaint}.")
            log.warning(notices[-1])
        else:
            trusted = further
    return trusted, tuple(notices)


def _complaint(vgg: Vgg, shortcuts: Shortcuts, truths: Sequence[_Picture]) -> str:
    """What is wrong with pictures that are painted by these shortcuts; empty if nothing is."""
    for truth in truths:
        try:
            painted = _painted(vgg, shortcuts, truth.recipe)
        except Exception as error:
            # Plain kernels have just worked, so this is the shortcuts' fault, whatever it is; but for a lack of memory.
            if is_out_of_memory(error):
                raise
            if not is_alive(vgg.device):
                raise DeviceLostError(f"{vgg.device} is lost to this process: {error}") from error
            return f"{type(error).__name__}: {error}".splitlines()[0]
        come = (truth.painted - _begun()).square().mean().sqrt()
        apart = float((painted - truth.painted).square().mean().sqrt() / come)
        dtype = shortcuts.reduced if truth.recipe.precision == "fastest" else torch.float32
        if not apart <= _MOST_APART[dtype]:  # a NaN is not
            return f"a picture came out {100 * apart:.0f} % off"
    return ""


def _painted(vgg: Vgg, shortcuts: Shortcuts, recipe: Recipe) -> Tensor:
    """The last picture, normalised, (1, 3, side, side) on the CPU."""
    _poison(vgg.device)
    content, style = denormalised(dead_leaves(side_px=_SIDE_PX, leaves=60))
    *_, last = stylize(content, [(style, 1.0)], recipe, vgg=replace(vgg, shortcuts=shortcuts))
    return last.checkpoint().tensors["picture"]


def _begun() -> Tensor:
    content, _ = denormalised(dead_leaves(side_px=_SIDE_PX, leaves=60))
    return normalised(content)


def _poison(device: torch.device) -> None:
    """Leaves NaN in the memory that is handed out next: whoever reads what nobody wrote will show it."""
    if device.type != "cpu":
        torch.full((_POISON_BYTES // 4,), torch.nan, device=device)
