"""A device's memory: how much of it is free, how it says that there is none left, and giving back what is not used."""

import os
from pathlib import Path

import torch

_NO_ROOM = (
    "out of memory",  # CUDA error, HIP error, hipErrorOutOfMemory's text; "MPS backend", "XPU", allocators' own
    "_ALLOC_FAILED",  # CUBLAS_STATUS_, CUDNN_STATUS_, HIPBLAS_STATUS_; CUFFT_ALLOC_FAILED, HIPFFT_ALLOC_FAILED
    "ALLOCATION_FAILED",  # CUDNN_STATUS_INTERNAL_ERROR_HOST_ and _DEVICE_ALLOCATION_FAILED
    "can't allocate memory",  # the CPU's allocator on Linux and macOS
    "not enough memory",  # and on Windows
    "std::bad_alloc",
    "could not allocate",  # Metal's buffers, oneDNN's scratch
    "insufficient memory",  # a Metal command buffer
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device had no room. Only allocators have an error type for it; the libraries beside them have texts."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words.lower() in text for words in _NO_ROOM)


def release(device: torch.device) -> None:
    """Gives back what torch holds in reserve."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "xpu":
        torch.xpu.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def free_memory_bytes(device: torch.device) -> int | None:
    """What this process may still take of the device's memory; None where the system doesn't tell."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch holds in reserve is free for it.
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "xpu":
        free, _ = torch.xpu.mem_get_info(device)
        return free + torch.xpu.memory_reserved(device) - torch.xpu.memory_allocated(device)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory()) - torch.mps.driver_allocated_memory()
    found = [bytes_ for bytes_ in (_available_bytes(), _cgroup_bytes()) if bytes_ is not None]
    return min(found, default=main_memory_bytes())


def _available_bytes() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux
        return None
    fields = dict(line.split(":", 1) for line in lines)
    return 1024 * int(fields["MemAvailable"].split()[0])


def _cgroup_bytes() -> int | None:
    """What the control group of a container leaves; None without a limit."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if limit == "max" else int(limit) - used


def main_memory_bytes() -> int | None:
    """Of this machine; None where the system doesn't tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
