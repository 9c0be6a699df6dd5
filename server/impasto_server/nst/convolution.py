"""A convolution with its bias and ReLU, in one kernel of the vendor's library wherever that has one for the call."""

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


def _fused_or_plain(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """By the vendor's kernel; calls that it has none for are remembered, and made by two kernels."""
    fused = _FUSED.get(maps.device.type)
    call = (maps.device.type, maps.dtype, maps.shape, weight.shape)
    if fused and call not in _without_kernel:
        try:
            return fused(maps, weight, bias)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            _without_kernel.add(call)
            log.info("no fused convolution of %s by %s: %s", tuple(maps.shape), tuple(weight.shape), error)
    return F.conv2d(maps, weight, bias, padding=1).relu_()


def _by_cudnn(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.cudnn_convolution_relu(maps, weight, bias, (1, 1), (1, 1), (1, 1), 1)


def _by_onednn(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    ones = [1, 1]
    result: Tensor = torch.ops.mkldnn._convolution_pointwise(maps, weight, bias, ones, ones, ones, 1, "relu", [], "")
    return result


_FUSED: dict[str, Fused] = {"cpu": _by_onednn, "cuda": _by_cudnn}
_without_kernel: set[tuple[str, torch.dtype, torch.Size, torch.Size]] = set()


def _shaped_alike(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    shape = (maps.shape[0], weight.shape[0], *maps.shape[2:])
    return torch.empty(shape, dtype=maps.dtype, device=maps.device, memory_format=torch.channels_last)


# An operator of its own, so that it can be traced on devices that aren't there.
_library = torch.library.Library("impasto", "FRAGMENT")  # type: ignore[no-untyped-call]
_library.define("convolved_and_rectified(Tensor maps, Tensor weight, Tensor bias) -> Tensor")  # type: ignore[no-untyped-call]
_library.impl("convolved_and_rectified", _fused_or_plain, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
_library.impl("convolved_and_rectified", _shaped_alike, "Meta")  # type: ignore[no-untyped-call]
