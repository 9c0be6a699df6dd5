"""Matrix products by the fastest kernels that lose nothing for it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor


def add_gram_(total: Tensor, rows: Tensor, made_in: torch.dtype) -> None:
    """total += rowsᵀ rows, with rows (positions, C) and total (C, C) of one type, in which is summed.

    `made_in` is the type that the rows' values were computed in. Numbers of bfloat16 may be multiplied as such:
    float32 holds their products exactly, so nothing is lost, and a CPU does it in half the time.
    """
    if made_in == torch.bfloat16 and rows.dtype == torch.float32 and rows.device.type == "cpu":
        with _multiplying_in_bfloat16():
            total.addmm_(rows.T, rows)
    else:
        total.addmm_(rows.T, rows)


def times(left: Tensor, right: Tensor) -> Tensor:
    """left · right, (n, m) by (m, m), for a symmetric right one."""
    multiply = _onednn() if left.dtype == torch.float32 and left.device.type == "cpu" else None
    return multiply(left, right) if multiply else left @ right


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
