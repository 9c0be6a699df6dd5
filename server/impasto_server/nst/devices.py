"""Which devices this machine has, picking one by name, and what each kind is made for."""

from dataclasses import dataclass

import torch

from .memory import is_out_of_memory, main_memory_bytes


class DeviceError(ValueError):
    """A device that isn't there; the text names those that are."""


class DeviceLostError(RuntimeError):
    """A device that does nothing any more for this process, whatever it is asked: only another process can use it."""


@dataclass(frozen=True, slots=True)
class Device:
    """`name` as torch spells it (`cuda:0`, `xpu:0`, `mps`, `cpu`); memory in bytes where the system tells."""

    name: str
    description: str
    memory_bytes: int | None


def list_devices() -> tuple[Device, ...]:
    """Every device of this machine, best first: CUDA and ROCm by index, Intel's GPUs, Apple's Metal, then the CPU."""
    found = []
    for index in range(torch.cuda.device_count()):
        cuda = torch.cuda.get_device_properties(index)
        found.append(Device(f"cuda:{index}", cuda.name, cuda.total_memory))
    for index in range(torch.xpu.device_count()):
        xpu = torch.xpu.get_device_properties(index)
        found.append(Device(f"xpu:{index}", xpu.name, xpu.total_memory))
    if torch.backends.mps.is_available():
        found.append(Device("mps", "Apple Metal", torch.mps.recommended_max_memory()))
    found.append(Device("cpu", _cpu_description(), main_memory_bytes()))
    return tuple(found)


def pick_device(name: str | None = None) -> torch.device:
    """The named device, or the best one there is. `cuda` means `cuda:0`. Raises `DeviceError`."""
    names = [device.name for device in list_devices()]
    if name is None:
        return torch.device(names[0])
    wanted = f"{name}:0" if name in ("cuda", "xpu") else name
    if wanted not in names:
        raise DeviceError(f"{name} is not there; found: {', '.join(names)}.")
    return torch.device(wanted)


def set_up(device: torch.device) -> None:
    """Prepares torch for a process that paints on this device: it is the current one, and float32 means float32.

    Reduced precision is a recipe's choice, and then it is reduced all through the network.
    """
    # Streams, events and recordings belong to the current device, wherever the tensors are.
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
    elif device.type == "xpu":
        torch.xpu.set_device(device)


def try_every_kernel(device: torch.device, *, repeats: int) -> None:
    """Has cuDNN time its ways of each convolution, where each shape comes so often that it pays.

    Trying takes about as long as some thirty steps, and brings a tenth of a step at most: an estimate, not measured.
    """
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = repeats >= _REPEATS_THAT_PAY


_REPEATS_THAT_PAY = 500


def fastest_precision(device: torch.device) -> torch.dtype:
    """The type that the device multiplies several times as fast as float32, or else float32."""
    match device.type:
        case "cuda" if torch.version.hip:
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        case "cuda":
            capability = torch.cuda.get_device_capability(device)
            if capability >= (8, 0):
                return torch.bfloat16
            # Volta and Turing. Pascal's consumer cards have float16 at a sixty-fourth of the rate.
            return torch.float16 if capability >= (7, 0) else torch.float32
        case "xpu":
            return torch.bfloat16 if torch.xpu.is_bf16_supported(including_emulation=False) else torch.float16
        case "mps":
            return torch.float16
        case "cpu":
            able = torch.cpu.get_capabilities()
            return torch.bfloat16 if able.get("amx_bf16") or able.get("avx512_bf16") else torch.float32
        case _:
            return torch.float32


def is_alive(device: torch.device) -> bool:
    """Whether the device still does what this process asks of it; after some errors it never does again."""
    try:
        return float(torch.ones((), device=device) + 1) == 2
    except RuntimeError as error:
        return is_out_of_memory(error)


def _cpu_description() -> str:
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"
