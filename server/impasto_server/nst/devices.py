"""Which devices this machine has, and picking one by name."""

import os
from dataclasses import dataclass
from pathlib import Path

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
    found.append(Device("cpu", _cpu_description(), _main_memory_bytes()))
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


def set_up(device: torch.device) -> None:
    """Prepares torch for a process that paints on this device: float32 means float32, and the fastest kernels are
    looked for. Reduced precision is a recipe's choice, and then it is bfloat16 all through the network.
    """
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.benchmark = True


def fastest_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it several times as fast as float32, or else float32."""
    if device.type == "cuda":
        made_for_it = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        able = torch.cpu.get_capabilities() if device.type == "cpu" else {}
        made_for_it = bool(able.get("amx_bf16") or able.get("avx512_bf16"))
    return torch.bfloat16 if made_for_it else torch.float32


def free_memory_bytes(device: torch.device) -> int | None:
    """What this process may still take of the device's memory; None where the system doesn't tell."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch holds in reserve is free for it.
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory()) - torch.mps.driver_allocated_memory()
    found = [bytes_ for bytes_ in (_available_bytes(), _cgroup_bytes()) if bytes_ is not None]
    return min(found, default=_main_memory_bytes())


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


def _cpu_description() -> str:
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


def _main_memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
