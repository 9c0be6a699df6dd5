"""Matrix products by the fastest kernels that lose nothing for it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

_CHUNK = 2**14
"""Rows of a product on a GPU, about. Thousands of processors share them out; and what a tensor core adds up, one number
after the other, it rounds towards zero each time."""


def sums(rows: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Of rows (positions, C) and of their products, rowsᵀ rows: (C) and (C, C), summed in `dtype`.

    Numbers of bfloat16 and float16 may be multiplied as such: float32 holds their products exactly, so nothing is lost.
    """
    if rows.is_cuda:
        return rows.sum(0, dtype=dtype), sum_of_chunks(rows, dtype)
    wide = rows.to(dtype)
    if rows.dtype == torch.bfloat16 and dtype == torch.float32 and rows.device.type == "cpu":
        with _multiplying_in_bfloat16():  # in half the time
            return wide.sum(0), wide.T @ wide
    return wide.sum(0), wide.T @ wide


def sum_of_chunks(rows: Tensor, dtype: torch.dtype) -> Tensor:
    """rowsᵀ rows, chunk by chunk side by side, without a copy of the rows in another type."""
    count, channels = rows.shape
    chunks = max(1, count // _CHUNK)
    length = count // chunks
    parts = rows[: chunks * length].view(chunks, length, channels)
    total = _batch(parts.transpose(1, 2), parts, dtype).sum(0)
    rest = rows[None, chunks * length :]
    return total + _batch(rest.transpose(1, 2), rest, dtype)[0] if rest.shape[1] else total


def _batch(left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.bmm(left, right) if left.dtype == dtype else torch.bmm(left, right, out_dtype=dtype)


def times(left: Tensor, right: Tensor) -> Tensor:
    """left · right, (L, n, m) by (L, m, m), for symmetric right ones."""
    multiply = _onednn() if left.dtype == torch.float32 and left.device.type == "cpu" else None
    if multiply:
        return torch.stack([multiply(*each) for each in zip(left, right, strict=True)])
    return torch.bmm(left, right)


def times_and(left: Tensor, right: Tensor, *, factor: float, own: float) -> Tensor:
    """factor · left · right + own · left, as `times` has them."""
    if left.device.type == "cpu":
        return times(left, right).mul_(factor).add_(left, alpha=own)
    return torch.baddbmm(left, left, right, beta=own, alpha=factor)


_switch = threading.Lock()
"""The precision of products is the process's: two runs in one process take turns."""


@contextmanager
def _multiplying_in_bfloat16() -> Iterator[None]:
    with _switch:
        products = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
        before = products.fp32_precision
        products.fp32_precision = "bf16"
        try:
            yield
        finally:
            products.fp32_precision = before


@cache
def _onednn() -> Callable[[Tensor, Tensor], Tensor] | None:
    """left · rightᵀ by oneDNN, where this build of torch has it: on some processors twice as fast as its BLAS."""
    linear = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if linear is None or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    return lambda left, right: linear(left, right, None, "none", [], "")
