"""What the device is, and its ceilings: copying and large matrix products, on random data."""

from __future__ import annotations

import os
from collections.abc import Iterator

import torch

from bench.gpu.ledger import Finding
from bench.gpu.setting import Setting
from bench.limits import Limits
from bench.report import Found, Row


def measure(setting: Setting) -> Iterator[Found | Finding]:
    """Facts first, as they need no kernel."""
    yield Row("processors", os.cpu_count() or 0, "", note=f"torch uses {torch.get_num_threads()}")
    if setting.device.type == "cuda":
        yield from _cuda(setting.device)
    limits = Limits(setting.device)
    yield Row("copying", limits.copy_bytes(setting.sizes.ceiling_s) / 1e9, "GB/s", note="bytes read and written")
    for dtype in (torch.bfloat16, torch.float32):
        flops = limits.matmul_flops(dtype, setting.sizes.ceiling_s)
        yield Row(f"{str(dtype).removeprefix('torch.')} matrix product", flops / 1e12, "TFLOP/s")


def _cuda(device: torch.device) -> Iterator[Row]:
    properties = torch.cuda.get_device_properties(device)
    free, whole = torch.cuda.mem_get_info(device)
    built = f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}, {torch.cuda.device_count()} GPUs"
    note = f"compute capability {properties.major}.{properties.minor}; {built}"
    yield Row(properties.name, properties.multi_processor_count, "multiprocessors", note=note)
    yield Row("memory", whole / 1e9, "GB", note=f"{free / 1e9:.1f} free")
