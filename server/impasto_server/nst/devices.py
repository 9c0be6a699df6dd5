"""Which devices this machine has, and picking one by name."""

import os
from dataclasses import dataclass

import torch


class DeviceError(ValueError):
    """A device that isn't there; the text names those that are."""


@dataclass(frozen=True, slots=True)
class Device:
    """`name` as torch spells it (`cuda:0`, `mps`, `cpu`); memory in bytes where the system tells."""

    name: str
    description: str
    memory_bytes: int | None


def list_devices() -> tuple[Device, ...]:
    """Every device of this machine, best first: CUDA by index, then Apple's Metal, then the CPU."""
    found = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found.append(Device(f"cuda:{index}", properties.name, properties.total_memory))
    if torch.backends.mps.is_available():
        found.append(Device("mps", "Apple Metal", torch.mps.recommended_max_memory()))
    found.append(Device("cpu", f"CPU, {torch.get_num_threads()} threads", _main_memory_bytes()))
    return tuple(found)


def pick_device(name: str | None = None) -> torch.device:
    """The named device, or the best one there is. `cuda` means `cuda:0`. Raises `DeviceError`."""
    names = [device.name for device in list_devices()]
    if name is None:
        return torch.device(names[0])
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in names:
        raise DeviceError(f"{name} is not there; found: {', '.join(names)}.")
    return torch.device(wanted)


def fastest_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it several times as fast as float32, or else float32."""
    if device.type == "cuda":
        made_for_it = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        made_for_it = device.type == "cpu" and bool(torch.cpu.get_capabilities().get("amx_bf16"))
    return torch.bfloat16 if made_for_it else torch.float32


def _main_memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
