"""What happens to maps between two convolutions, as `maps.MapKernels` says, in kernels of our own.

They join what torch does in several passes over the maps: a GPU computes faster than its memory delivers. Each is an
operator, so that it can be traced on a device that isn't there.

In the kernels `row` and `column` are counted without the border, which is 1 or 0 wide. A program takes `count`
positions and `part` of the channels, which are a multiple of 16.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from impasto_server.nst import maps as by_torch
from impasto_server.nst.maps import Maps, StylePull
from impasto_server.nst.tiles import Block
from impasto_server.recipes import Pooling

_POSITIONS = 64
"""Of a program: enough for a product's tile, few enough for the pixels of a small map to keep a GPU busy."""


def clear_(maps: Maps) -> None:
    """See `MapKernels`."""
    if maps.border:
        torch.ops.impasto.clear_border_(maps.whole)


def replicate_(maps: Maps) -> None:
    """See `MapKernels`."""
    if maps.border:
        torch.ops.impasto.replicate_border_(maps.whole)


def back_through_relu_(gradient: Maps, maps: Maps, style: StylePull | None, own: Block) -> None:
    """See `MapKernels`."""
    if style:
        _, rows, columns = own
        block = [rows.start, rows.stop, columns.start, columns.stop]
        torch.ops.impasto.back_through_relu_with_style_(
            gradient.whole, maps.whole, style.matrix, style.vector, maps.border, block
        )
    else:
        torch.ops.impasto.back_through_relu_(gradient.whole, maps.whole, maps.border)


def back_through_pooling(gradient: Maps, maps: Maps, pooling: Pooling) -> Maps:
    """See `MapKernels`."""
    if pooling == "max":
        return by_torch.back_through_pooling(gradient, maps, pooling)
    return Maps(torch.ops.impasto.back_through_average_pooling(gradient.whole, maps.whole, maps.border), maps.border)


def pull_to_target_(gradient: Tensor, features: Tensor, target: Tensor, factor: Tensor) -> Tensor:
    """See `MapKernels`."""
    distance: Tensor = torch.ops.impasto.pull_to_target_(gradient, features, target, factor)
    return distance


_SIDES = ["height", "width", "top", "bottom", "left", "right"]
"""Numbers that no kernel is compiled for anew."""


@triton.jit
def _program(channels, part: tl.constexpr, count: tl.constexpr):
    """A program's positions and channels. Those that share positions lie beside each other, and share the cache."""
    parts = channels // part
    position = tl.program_id(0) // parts * count + tl.arange(0, count)
    channel = tl.program_id(0) % parts * part + tl.arange(0, part)
    return position, channel[None, :]


@triton.jit
def _inner(height, width, channels, part: tl.constexpr, count: tl.constexpr):
    """Row, column and channels of a program, and which of its positions are there."""
    position, channel = _program(channels, part, count)
    return position // width, position % width, channel, position < height * width


@triton.jit
def _outer(height, width, channels, part: tl.constexpr, count: tl.constexpr):
    """As `_inner` has it, of pixels of the border: first those above and below, with the corners, then those beside."""
    position, channel = _program(channels, part, count)
    long = width + 2
    beside = position - 2 * long
    row = tl.where(beside < 0, position // long * (height + 1), 1 + beside // 2) - 1
    column = tl.where(beside < 0, position % long, beside % 2 * (width + 1)) - 1
    return row, column, channel, position < 2 * long + 2 * height


@triton.jit
def _place(row, column, channel, width, channels, border: tl.constexpr):
    """In the buffer."""
    return (((row + border) * (width + 2 * border) + column + border) * channels)[:, None] + channel


@triton.jit(do_not_specialize=_SIDES)
def _clear_border(whole, height, width, channels, part: tl.constexpr, count: tl.constexpr):
    row, column, channel, there = _outer(height, width, channels, part, count)
    place = _place(row, column, channel, width, channels, 1)
    tl.store(whole + place, tl.zeros(place.shape, whole.dtype.element_ty), mask=there[:, None])


@triton.jit(do_not_specialize=_SIDES)
def _replicate_border(whole, height, width, channels, part: tl.constexpr, count: tl.constexpr):
    row, column, channel, there = _outer(height, width, channels, part, count)
    nearest_row = tl.minimum(tl.maximum(row, 0), height - 1)
    nearest_column = tl.minimum(tl.maximum(column, 0), width - 1)
    nearest = whole + _place(nearest_row, nearest_column, channel, width, channels, 1)
    replica = tl.load(nearest, mask=there[:, None], other=0)
    tl.store(whole + _place(row, column, channel, width, channels, 1), replica, mask=there[:, None])


@triton.jit
def _has_replica(row, column, there, height, width, down: tl.constexpr, right: tl.constexpr):
    """Which positions have one that many rows and columns away."""
    on = there
    if down < 0:
        on = on & (row == 0)
    if down > 0:
        on = on & (row == height - 1)
    if right < 0:
        on = on & (column == 0)
    if right > 0:
        on = on & (column == width - 1)
    return on


@triton.jit
def _folded(gradient, row, column, channel, there, height, width, channels, border: tl.constexpr):
    """The gradient at positions, in float32, with what went to their replicas."""
    place = _place(row, column, channel, width, channels, border)
    total = tl.load(gradient + place, mask=there[:, None], other=0).to(tl.float32)
    if border:
        for down in tl.static_range(-1, 2):
            for right in tl.static_range(-1, 2):
                if down != 0 or right != 0:
                    on = _has_replica(row, column, there, height, width, down, right)
                    replica = gradient + place + (down * (width + 2) + right) * channels
                    total += tl.load(replica, mask=on[:, None], other=0).to(tl.float32)
    return total


@triton.jit
def _store_masked(gradient, maps, value, row, column, channel, there, height, width, channels, border: tl.constexpr):
    """Stores where the maps were positive, and zeros elsewhere and in the border."""
    place = _place(row, column, channel, width, channels, border)
    positive = tl.load(maps + place, mask=there[:, None], other=0).to(tl.float32) > 0
    tl.store(gradient + place, tl.where(positive, value, 0).to(gradient.dtype.element_ty), mask=there[:, None])
    if border:
        # Each pixel of the border replicates a single position, so no program reads what another one clears. Within a
        # program all have been read before the first is cleared.
        tl.debug_barrier()
        for down in tl.static_range(-1, 2):
            for right in tl.static_range(-1, 2):
                if down != 0 or right != 0:
                    on = _has_replica(row, column, there, height, width, down, right)
                    replica = gradient + place + (down * (width + 2) + right) * channels
                    tl.store(replica, tl.zeros(place.shape, gradient.dtype.element_ty), mask=on[:, None])


@triton.jit(do_not_specialize=_SIDES)
def _back_through_relu(
    gradient, maps, height, width, channels, border: tl.constexpr, part: tl.constexpr, count: tl.constexpr
):
    row, column, channel, there = _inner(height, width, channels, part, count)
    value = _folded(gradient, row, column, channel, there, height, width, channels, border)
    _store_masked(gradient, maps, value, row, column, channel, there, height, width, channels, border)


@triton.jit(do_not_specialize=_SIDES)
def _back_through_relu_with_style(
    gradient, maps, matrix, vector, height, width, top, bottom, left, right, channels,
    border: tl.constexpr, part: tl.constexpr, count: tl.constexpr,
):  # fmt: skip
    row, column, channel, there = _inner(height, width, channels, part, count)
    pull = tl.zeros((count, part), tl.float32)
    for first in range(0, channels, part):
        inner = first + tl.arange(0, part)
        place = _place(row, column, inner[None, :], width, channels, border)
        features = tl.load(maps + place, mask=there[:, None], other=0)
        factors = tl.load(matrix + inner[:, None] * channels + channel)
        pull = tl.dot(features, factors, pull, input_precision="ieee")
    pull += tl.load(vector + channel).to(tl.float32)
    own = (row >= top) & (row < bottom) & (column >= left) & (column < right)
    value = _folded(gradient, row, column, channel, there, height, width, channels, border)
    value += tl.where(own[:, None], pull, 0)
    _store_masked(gradient, maps, value, row, column, channel, there, height, width, channels, border)


@triton.jit(do_not_specialize=_SIDES)
def _back_through_average_pooling(
    result, gradient, maps, height, width, channels,
    border: tl.constexpr, part: tl.constexpr, count: tl.constexpr,
):  # fmt: skip
    row, column, channel, there = _inner(height, width, channels, part, count)
    high, wide = (height + 1) // 2, (width + 1) // 2
    value = _folded(gradient, row // 2, column // 2, channel, there, high, wide, channels, border)
    # The last pixel of an odd side is a pool of its own.
    share = tl.where((row == height - 1) & (height % 2 == 1), 1.0, 0.5)
    share *= tl.where((column == width - 1) & (width % 2 == 1), 1.0, 0.5)
    _store_masked(result, maps, value * share[:, None], row, column, channel, there, height, width, channels, border)


@triton.jit(do_not_specialize=_SIDES)
def _pull_to_target(
    gradient, features, target, factor, partial, height, width, channels,
    gradient_row, gradient_column, features_row, features_column, target_row, target_column,
    part: tl.constexpr, count: tl.constexpr,
):  # fmt: skip
    row, column, channel, there = _inner(height, width, channels, part, count)
    row, column, there = row[:, None], column[:, None], there[:, None]
    own = tl.load(features + row * features_row + column * features_column + channel, mask=there, other=0)
    other = tl.load(target + row * target_row + column * target_column + channel, mask=there, other=0)
    apart = own.to(tl.float32) - other.to(tl.float32)
    tl.store(partial + tl.program_id(0), tl.sum(apart * apart))
    place = gradient + row * gradient_row + column * gradient_column + channel
    value = tl.load(place, mask=there, other=0).to(tl.float32) + apart * tl.load(factor)
    tl.store(place, value.to(gradient.dtype.element_ty), mask=there)


def _clear_border_op(whole: Tensor) -> None:
    _over_border(_clear_border, whole)


def _replicate_border_op(whole: Tensor) -> None:
    _over_border(_replicate_border, whole)


def _over_border(kernel: triton.JITFunction, whole: Tensor) -> None:
    channels, height, width = whole.shape[1], whole.shape[-2] - 2, whole.shape[-1] - 2
    grid, sizes = _programs(2 * (width + 2) + 2 * height, channels)
    kernel[grid](_checked(whole), height, width, channels, *sizes)


def _back_through_relu_op(gradient: Tensor, maps: Tensor, border: int) -> None:
    height, width, channels = _sides(maps, border)
    grid, sizes = _programs(height * width, channels)
    _back_through_relu[grid](_checked(gradient), _checked(maps), height, width, channels, border, *sizes)


def _back_through_relu_with_style_op(
    gradient: Tensor, maps: Tensor, matrix: Tensor, vector: Tensor, border: int, block: list[int]
) -> None:
    height, width, channels = _sides(maps, border)
    grid, sizes = _programs(height * width, channels)
    matrix, vector = matrix.contiguous(), vector.contiguous()
    _back_through_relu_with_style[grid](
        _checked(gradient), _checked(maps), matrix, vector, height, width, *block, channels, border, *sizes
    )


def _back_through_average_pooling_op(gradient: Tensor, maps: Tensor, border: int) -> Tensor:
    height, width, channels = _sides(maps, border)
    grid, sizes = _programs(height * width, channels)
    result = _unwritten_like(gradient, maps, border)
    _back_through_average_pooling[grid](
        result, _checked(gradient), _checked(maps), height, width, channels, border, *sizes
    )
    return result


def _pull_to_target_op(gradient: Tensor, features: Tensor, target: Tensor, factor: Tensor) -> Tensor:
    _, channels, height, width = features.shape
    grid, sizes = _programs(height * width, channels)
    partial = torch.empty(grid, dtype=torch.float32, device=features.device)
    steps = (maps.stride(axis) for maps in (gradient, features, target) for axis in (2, 3))
    _pull_to_target[grid](gradient, features, target, factor, partial, height, width, channels, *steps, *sizes)
    return partial.sum()


def _sides(maps: Tensor, border: int) -> tuple[int, int, int]:
    """Height and width without the border, and channels."""
    return maps.shape[-2] - 2 * border, maps.shape[-1] - 2 * border, maps.shape[1]


def _programs(positions: int, channels: int) -> tuple[tuple[int], tuple[int, int]]:
    """How many, and how many channels and positions each of them takes."""
    part = math.gcd(channels, 64)
    return (triton.cdiv(positions, _POSITIONS) * (channels // part),), (part, _POSITIONS)


def _checked(whole: Tensor) -> Tensor:
    # Kernels compute the places of numbers on their own; a copy made here would be the one that is written to.
    assert whole.is_contiguous(memory_format=torch.channels_last)
    return whole


def _unwritten_like(gradient: Tensor, maps: Tensor, border: int) -> Tensor:
    return torch.empty_like(maps, memory_format=torch.channels_last)


def _nothing(*_: object) -> None:
    pass


def _a_number(gradient: Tensor, features: Tensor, target: Tensor, factor: Tensor) -> Tensor:
    return torch.empty((), dtype=torch.float32, device=features.device)


_library = torch.library.Library("impasto", "FRAGMENT")
for _schema, _run, _shape in (
    ("clear_border_(Tensor(a!) whole) -> ()", _clear_border_op, _nothing),
    ("replicate_border_(Tensor(a!) whole) -> ()", _replicate_border_op, _nothing),
    ("back_through_relu_(Tensor(a!) gradient, Tensor maps, int border) -> ()", _back_through_relu_op, _nothing),
    (
        "back_through_relu_with_style_(Tensor(a!) gradient, Tensor maps, Tensor matrix, Tensor vector, int border, "
        "int[] block) -> ()",
        _back_through_relu_with_style_op,
        _nothing,
    ),
    (
        "back_through_average_pooling(Tensor gradient, Tensor maps, int border) -> Tensor",
        _back_through_average_pooling_op,
        _unwritten_like,
    ),
    (
        "pull_to_target_(Tensor(a!) gradient, Tensor features, Tensor target, Tensor factor) -> Tensor",
        _pull_to_target_op,
        _a_number,
    ),
):
    _name = _schema.split("(")[0]
    _library.define(_schema)
    _library.impl(_name, _run, "CompositeExplicitAutograd")
    _library.impl(_name, _shape, "Meta")
