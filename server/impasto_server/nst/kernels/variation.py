"""Total variation and its gradient in one pass over a picture, in a kernel of our own."""

import torch
import triton
import triton.language as tl
from torch import Tensor

_NUMBERS = 1024
"""Of the picture, a program."""


def total_variation(picture: Tensor, weight: Tensor, gradient: Tensor) -> Tensor:
    """As `losses.total_variation` has it; picture and gradient are contiguous."""
    sums: Tensor = torch.ops.impasto.total_variation_(gradient, picture, weight)
    return sums.sum()


@torch.library.custom_op("impasto::total_variation_", mutates_args=("gradient",))
def _total_variation_(gradient: Tensor, picture: Tensor, weight: Tensor) -> Tensor:
    assert picture.is_contiguous() and gradient.is_contiguous()
    count, height, width = picture.shape[1:]
    vertical = 0.5 / (count * max(1, (height - 1) * width))
    horizontal = 0.5 / (count * max(1, height * (width - 1)))
    sums = _sums(picture)
    _variation[(len(sums),)](
        picture, gradient, weight, sums, picture.numel(), height, width, vertical, horizontal, block=_NUMBERS
    )
    return sums


@_total_variation_.register_fake
def _(gradient: Tensor, picture: Tensor, weight: Tensor) -> Tensor:
    return _sums(picture)


def _sums(picture: Tensor) -> Tensor:
    return picture.new_empty(triton.cdiv(picture.numel(), _NUMBERS))


@triton.jit
def _variation(picture, gradient, weight, sums, count, height, width, vertical, horizontal, block: tl.constexpr):
    """Each pixel adds its own share of the gradient, and the differences to the pixels above it and left of it."""
    place = tl.program_id(0) * block + tl.arange(0, block)
    there = place < count
    row, column = place // width % height, place % width
    here = tl.load(picture + place, mask=there, other=0.0)
    # What lies outside of the picture is as what lies at its edge: no difference.
    above = here - tl.load(picture + place - width, mask=there & (row > 0), other=0.0)
    below = here - tl.load(picture + place + width, mask=there & (row < height - 1), other=0.0)
    left = here - tl.load(picture + place - 1, mask=there & (column > 0), other=0.0)
    right = here - tl.load(picture + place + 1, mask=there & (column < width - 1), other=0.0)
    above = tl.where(row > 0, above, 0.0)
    below = tl.where(row < height - 1, below, 0.0)
    left = tl.where(column > 0, left, 0.0)
    right = tl.where(column < width - 1, right, 0.0)
    push = vertical * (_sign(above) + _sign(below)) + horizontal * (_sign(left) + _sign(right))
    old = tl.load(gradient + place, mask=there)
    tl.store(gradient + place, old + tl.load(weight) * push, mask=there)
    value = vertical * tl.abs(above) + horizontal * tl.abs(left)
    tl.store(sums + tl.program_id(0), tl.sum(tl.where(there, value, 0.0)))


@triton.jit
def _sign(numbers):
    return (numbers > 0).to(numbers.dtype) - (numbers < 0).to(numbers.dtype)
