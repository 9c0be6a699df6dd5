"""What a step costs a GPU before there is one: its kernels and the bytes they move, counted operator by operator.

A real step (network, losses and optimiser, in one piece) runs on tensors that say they are on CUDA and compute nothing.
Each operator it calls is one kernel that reads its inputs once and writes its outputs once, but for views, which are
none, and those that `_COMPOSITE` knows better. What a library does inside one of its calls, like splitting a product in
two kernels, isn't seen: the counts compare one way to write a step with another, and a roofline starts from them.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from types import FrameType
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.report import Found, Row, at_most
from impasto_server.nst import losses, pictures
from impasto_server.nst.network import Network
from impasto_server.nst.objective import objective
from impasto_server.nst.shortcuts import Shortcuts
from impasto_server.nst.state import State
from impasto_server.nst.tiled import TiledNetwork
from impasto_server.nst.vgg import Vgg
from impasto_server.nst.weights import Convolution
from impasto_server.recipes import CONVOLUTIONS, CONVOLUTIONS_PER_BLOCK, RECIPES, Recipe, plan

PROPORTIONS = 2 / 3
"""Height over width of what is painted; sizes are those of the long side."""

ALL_SHORTCUTS = Shortcuts(reduced=torch.bfloat16, fused=True, recorded=True, own_kernels=True)
"""What a GPU of today is trusted with."""

GOALS = {("painterly", 512): (300, math.inf), ("painterly", 2048): (400, 22e9)}
"""Kernels and bytes a step, by recipe and size."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Kernels that a step starts and bytes that they read and write; by operator and by module, the costliest first."""

    kernels: int
    bytes_moved: int
    by_operator: Mapping[str, tuple[int, int]]
    by_module: Mapping[str, tuple[int, int]]


def measure(
    *, recipes: Sequence[str] = ("painterly", "classic", "fast-classic"), sizes_px: Sequence[int] = (512, 1024, 2048)
) -> Iterator[Found]:
    """Recipe by recipe, size by size, and the modules and operators of each recipe's largest size."""
    for name in recipes:
        for size_px in sizes_px:
            cost = count(RECIPES[name], round(PROPORTIONS * size_px), size_px, ALL_SHORTCUTS)
            most_kernels, most_bytes = GOALS.get((name, size_px), (math.inf, math.inf))
            yield _row(f"{name}, {size_px} px, kernels a step", cost.kernels, most_kernels, "")
            yield _row(f"{name}, {size_px} px, moved a step", cost.bytes_moved / 1e9, most_bytes / 1e9, "GB")
        for part, (kernels, moved) in (*cost.by_module.items(), *cost.by_operator.items()):
            yield Row(f"{name}, {size_px} px, {part}", kernels, "", note=f"{moved / 1e9:.3f} GB")


def count(recipe: Recipe, height: int, width: int, shortcuts: Shortcuts) -> Cost:
    """A step at the full size of a picture height × width, once the optimiser remembers all that it ever will."""
    recipe = recipe.at_one_scale()
    (size,) = plan(_sized(recipe, height, width), height, width)
    with _nothing_kept(), FakeTensorMode(), torch.device("cuda"), torch.no_grad():
        content, style = torch.zeros(3, height, width), torch.zeros(3, height, width)
        vgg = Vgg("nothing", _convolutions(), shortcuts)
        network = Network.of(recipe, vgg)
        # How many directions a style has is looked up in its numbers, which there are none of: here it has them all.
        with mock.patch.object(losses, "principal_root", torch.empty_like):
            here = objective(content, [(style, 1.0)], recipe, size, TiledNetwork(network))
        state = State.start(torch.zeros(1, 3, height, width), size, recipe)
        gradient = torch.empty_like(state.picture)
        weights, numbers = torch.zeros(3), torch.zeros(2)
        for _ in range(2):  # the first one makes what later ones keep
            with Counting() as counting:
                here.loss_and_gradient(state.picture, weights, gradient)
                state.step(gradient, numbers, recipe)
    return counting.cost()


@contextmanager
def _nothing_kept() -> Iterator[None]:
    """Constants that `nst` keeps by device must not come from this mode to another one, or to a real device."""
    pictures._constant.cache_clear()
    try:
        yield
    finally:
        pictures._constant.cache_clear()


class Counting(TorchDispatchMode):
    """Counts every operator that is called while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[tuple[str, str, int, int]] = []

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        if func.is_view or func.namespace == "prim" or name in _NOTHING:
            return result
        moved = _moved(func, args, kwargs or {}, result)
        more, further = _COMPOSITE[name](args, result) if name in _COMPOSITE else (0, 0)
        self._calls.append((name, _calling_module(), 1 + more, moved + further))
        return result

    def cost(self) -> Cost:
        """Of all that was called so far."""
        operators, modules = defaultdict(list), defaultdict(list)
        for name, module, kernels, moved in self._calls:
            operators[name].append((kernels, moved))
            modules[module].append((kernels, moved))
        return Cost(
            sum(kernels for _, _, kernels, _ in self._calls),
            sum(moved for _, _, _, moved in self._calls),
            _summed(operators),
            _summed(modules),
        )


def _summed(calls: Mapping[str, list[tuple[int, int]]]) -> Mapping[str, tuple[int, int]]:
    sums = {
        name: (sum(kernels for kernels, _ in each), sum(moved for _, moved in each)) for name, each in calls.items()
    }
    return dict(sorted(sums.items(), key=lambda item: item[1][1], reverse=True))


def _calling_module() -> str:
    """The one of `nst` that an operator was called in."""
    frame: FrameType | None = sys._getframe()
    while frame and not frame.f_globals["__name__"].startswith("impasto_server.nst."):
        frame = frame.f_back
    return frame.f_globals["__name__"].removeprefix("impasto_server.nst.") if frame else "elsewhere"


_NOTHING = frozenset({"empty", "empty_like", "empty_strided", "new_empty", "_unsafe_view", "lift_fresh", "set_"})
"""What only takes memory or only looks at it in another way."""

_WRITES_ONLY = frozenset({"copy_", "zero_", "fill_"})
"""What changes a tensor without looking at it first."""

_PART_ONLY = frozenset({"index_copy_", "index_add_", "index_select", "index"})
"""What reads or writes no more of one tensor than the other is large."""


def _moved(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], result: object) -> int:
    """Bytes of a single kernel: each tensor once from memory or once to it, also as several operands at once."""
    name = func._schema.name.removeprefix("aten::")
    read: dict[int, int] = {}
    written: dict[int, int] = {}
    for argument, value in zip(func._schema.arguments, _in_order(func, args, kwargs), strict=True):
        for tensor in _tensors(value):
            changed = argument.alias_info is not None and argument.alias_info.is_write
            if changed:
                written[_storage(tensor)] = _bytes(tensor)
            if not changed or not (name in _WRITES_ONLY or argument.kwarg_only):
                read[_storage(tensor)] = max(read.get(_storage(tensor), 0), _bytes(tensor))
    for tensor in _tensors(result):
        written[_storage(tensor)] = _bytes(tensor)
    if name in _PART_ONLY:
        touched = _bytes(args[3]) if name in ("index_copy_", "index_add_") else sum(map(_bytes, _tensors(result)))
        return (3 if name == "index_add_" else 2) * touched
    return sum(read.values()) + sum(written.values())


def _fourier_forth(args: tuple[Any, ...], result: Any) -> tuple[int, int]:
    # One pass for each dimension; the second one works on complex numbers in place.
    passes = len(args[1]) - 1
    return passes, 2 * passes * _bytes(result)


def _fourier_back(args: tuple[Any, ...], result: Any) -> tuple[int, int]:
    # As forth; before it a copy, as cuFFT overwrites what it is given; behind it the division by the number of pixels.
    passes = len(args[1]) - 1
    return passes + 2, 2 * (passes + 1) * _bytes(args[0]) + 2 * _bytes(result)


def _with_bias(args: tuple[Any, ...], result: Any) -> tuple[int, int]:
    # cuDNN's convolution takes none: torch adds it in a kernel of its own.
    return (1, 2 * _bytes(result)) if args[2] is not None else (0, 0)


def _onto_a_copy(args: tuple[Any, ...], result: Any) -> tuple[int, int]:
    # cuBLAS adds to what its result holds already, so the matrix to be added to is copied; a vector goes with the sum.
    return (1, _bytes(result)) if args[0].dim() > 1 else (0, 0)


def _triangle(args: tuple[Any, ...], result: Any) -> tuple[int, int]:
    # Both matrices are copied to columns first.
    return 2, 2 * (_bytes(args[0]) + _bytes(args[1]))


def _filled_first(args: tuple[Any, ...], result: Any) -> tuple[int, int]:
    # With zeros, then what isn't zero is put in.
    return 1, _bytes(result)


def _border_only(args: tuple[Any, ...], result: Any) -> tuple[int, int]:
    # It is given the whole buffer, of which it touches the outermost pixels.
    rows, columns = args[0].shape[-2:]
    return 0, -2 * _bytes(args[0][..., : rows - 2, : columns - 2])


_COMPOSITE: Mapping[str, Callable[[tuple[Any, ...], Any], tuple[int, int]]] = {
    "_fft_r2c": _fourier_forth,
    "_fft_c2r": _fourier_back,
    "convolution": _with_bias,
    "impasto::convolved": _with_bias,
    "impasto::clear_border_": _border_only,
    "impasto::replicate_border_": _border_only,
    "addmm": _onto_a_copy,
    "baddbmm": _onto_a_copy,
    "linalg_solve_triangular": _triangle,
    "diag_embed": _filled_first,
    "max_pool2d_with_indices_backward": _filled_first,
}
"""Kernels and bytes that an operator costs beyond the one kernel."""


def _in_order(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    given = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | kwargs
    return [given.get(argument.name) for argument in func._schema.arguments]


def _tensors(value: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _bytes(tensor: Tensor) -> int:
    """Of what it shows, each number once however often it is shown."""
    sides = (length for length, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride)
    return tensor.itemsize * math.prod(sides)


def _convolutions() -> dict[str, Convolution]:
    channels = [64, 128, 256, 512, 512]
    outs = [made for made, times in zip(channels, CONVOLUTIONS_PER_BLOCK, strict=True) for _ in range(times)]
    return {
        name: Convolution(torch.zeros(out, into, 3, 3), torch.zeros(out))
        for name, (into, out) in zip(CONVOLUTIONS, pairwise([3, *outs]), strict=True)
    }


def _sized(recipe: Recipe, height: int, width: int) -> Recipe:
    return replace(recipe, size_px=None, height_px=height, width_px=width)


def _row(what: str, value: float, most: float, unit: str) -> Row:
    return Row(what, value, unit) if math.isinf(most) else at_most(what, value, most, unit)
