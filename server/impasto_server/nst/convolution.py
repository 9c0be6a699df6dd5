"""Convolutions, with their bias and ReLU in one kernel of the vendor's library wherever that has one for the call.

Both are operators of our own: they answer in channels-last, and can be traced on devices that aren't there.
"""

import logging
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from .memory import is_out_of_memory

log = logging.getLogger(__name__)

Fused = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of maps (1, C, H, W), weight (O, C, 3, 3) and bias (O), padded with one zero."""


def convolved_and_rectified(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The rectified map (1, O, H, W) of maps (1, C, H, W), weight (O, C, 3, 3) and bias (O), padded with one zero."""
    result: Tensor = torch.ops.impasto.convolved_and_rectified(maps, weight, bias)
    return result


def convolved(maps: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The same before its ReLU, with or without a bias."""
    result: Tensor = torch.ops.impasto.convolved(maps, weight, bias)
    return result


def _plain(maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    # A copy only where a library answers in another layout than it was asked in.
    return F.conv2d(maps, weight, bias, padding=1).contiguous(memory_format=torch.channels_last)


def _fused_or_plain(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """By the vendor's kernel; calls that it has none for are remembered, and made by two kernels."""
    fused = _FUSED.get(maps.device.type)
    call = (maps.device.type, maps.dtype, maps.shape, weight.shape)
    if fused and call not in _without_kernel:
        try:
            return fused(maps, weight, bias).contiguous(memory_format=torch.channels_last)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            _without_kernel.add(call)
            log.info("no fused convolution of %s by %s: %s", tuple(maps.shape), tuple(weight.shape), error)
    return _plain(maps, weight, bias).relu_()


def _by_cudnn(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.cudnn_convolution_relu(maps, weight, bias, (1, 1), (1, 1), (1, 1), 1)


def _by_onednn(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    ones = [1, 1]
    result: Tensor = torch.ops.mkldnn._convolution_pointwise(maps, weight, bias, ones, ones, ones, 1, "relu", [], "")
    return result


_FUSED: dict[str, Fused] = {"cuda": _by_cudnn}
if torch.backends.mkldnn.is_available() and hasattr(  # type: ignore[no-untyped-call]
    torch.ops.mkldnn, "_convolution_pointwise"
):
    _FUSED["cpu"] = _by_onednn
_without_kernel: set[tuple[str, torch.dtype, torch.Size, torch.Size]] = set()


def _shaped_alike(maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    shape = (maps.shape[0], weight.shape[0], *maps.shape[2:])
    return torch.empty(shape, dtype=maps.dtype, device=maps.device, memory_format=torch.channels_last)


_library = torch.library.Library("impasto", "FRAGMENT")  # type: ignore[no-untyped-call]
for _schema, _run in (
    ("convolved(Tensor maps, Tensor weight, Tensor? bias) -> Tensor", _plain),
    ("convolved_and_rectified(Tensor maps, Tensor weight, Tensor bias) -> Tensor", _fused_or_plain),
):
    _name = _schema.split("(")[0]
    _library.define(_schema)  # type: ignore[no-untyped-call]
    _library.impl(_name, _run, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    _library.impl(_name, _shaped_alike, "Meta")  # type: ignore[no-untyped-call]
