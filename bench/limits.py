"""What the machine can do at best: rates of plain matrix products and of copying, taken again at each slice."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from bench.clock import synchronise

_SIDE = {"cpu": 1536, "cuda": 8192}
_COPY_BYTES = {"cpu": 2**27, "cuda": 2**30}


class Limits:
    """Holds the operands, so that each look costs only its products."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        side = _SIDE.get(device.type, 2048)
        self._operands = {
            dtype: torch.rand(side, side, device=device).to(dtype) for dtype in (torch.float32, torch.bfloat16)
        }
        self._flop = 2.0 * side**3
        self._source = torch.rand(_COPY_BYTES.get(device.type, 2**27) // 4, device=device)
        self._target = torch.empty_like(self._source)

    def matmul_flops(self, dtype: torch.dtype, seconds: float = 0.3) -> float:
        """FLOP/s of square matrix products. In float32 on CUDA: true float32, whatever is allowed elsewhere."""
        operand = self._operands[dtype]
        return self._flop * self._rate(lambda: torch.mm(operand, operand), seconds)

    def copy_bytes(self, seconds: float = 0.3) -> float:
        """Bytes read and written a second."""
        moved = 2.0 * self._source.numel() * self._source.element_size()
        return moved * self._rate(lambda: self._target.copy_(self._source), seconds)

    def _rate(self, work: Callable[[], object], seconds: float) -> float:
        work()
        synchronise(self.device)
        began, done = time.perf_counter(), 0
        while True:
            for _ in range(8 if self.device.type == "cuda" else 1):
                work()
                done += 1
            synchronise(self.device)
            if (spent := time.perf_counter() - began) >= seconds:
                return done / spent
