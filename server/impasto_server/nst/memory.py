"""A device's memory: whether an error says that it had no room."""

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device had no room; the CPU's allocator has no error type of its own."""
    return isinstance(error, torch.OutOfMemoryError) or (isinstance(error, RuntimeError) and "alloc" in str(error))
