"""What can be installed, and which of it this computer has use for: how much room it takes, which build of torch."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from texts import _

GIGABYTE = 1_000_000_000
ASK_GPU_S = 10.0
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
"""Seen in sandboxes, too, where there is no nvidia-smi."""

PACKED = ("APPIMAGE", "SNAP")
"""Variables of a GIMP that has its Python with it."""


@dataclass(frozen=True)
class Plan:
    """One thing that can be installed."""

    name: str
    extra: str
    """Of our own wheel: `server` paints on this computer; empty is the light client."""
    needs_bytes: int
    torch_backend: str = ""
    """Which build of torch uv is asked for; empty: the index's own, as locked."""


LIGHT = Plan("light", "", GIGABYTE // 4)
CUDA = Plan("cuda", "server", 7 * GIGABYTE)
PROCESSOR = Plan("processor", "server", 2 * GIGABYTE, "cpu")
METAL = Plan("metal", "server", 2 * GIGABYTE)
# On Windows the index's own torch is the one for processors.
CUDA_ON_WINDOWS = Plan("cuda", "server", 7 * GIGABYTE, "auto")
PROCESSOR_ON_WINDOWS = Plan("processor", "server", 2 * GIGABYTE)


def plan_here(system=sys.platform, has_nvidia=None):
    """What lets this computer paint with what it has."""
    if system == "darwin":
        return METAL
    if has_nvidia_gpu() if has_nvidia is None else has_nvidia:
        return CUDA_ON_WINDOWS if system == "win32" else CUDA
    return PROCESSOR_ON_WINDOWS if system == "win32" else PROCESSOR


def has_nvidia_gpu():
    """Whether there is a GPU with NVIDIA's driver."""
    if NVIDIA_DRIVER.exists():
        return True
    program = shutil.which("nvidia-smi")
    if not program:
        return False
    try:
        asked = subprocess.run(
            [program, "-L"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ASK_GPU_S,
            check=False,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0 and b"GPU" in asked.stdout


def brings_python(sandbox_mark, system=sys.platform, environment=os.environ):
    """Whether the environment gets a Python of its own, as the one that is found goes away with GIMP or its sandbox."""
    return system != "linux" or sandbox_mark.exists() or any(name in environment for name in PACKED)


def gigabytes(size):
    """`0.3 GB`, `7 GB`: as much as anybody wants to know."""
    number = f"{size / GIGABYTE:.1f}" if size < 2 * GIGABYTE else str(round(size / GIGABYTE))
    return _("{number} GB").format(number=number)


def plan_sentence(plan):
    """What a painter may expect of this computer."""
    if plan in (PROCESSOR, PROCESSOR_ON_WINDOWS):
        return _("Your pictures stay here. Without an NVIDIA graphics card, a painting takes minutes.")
    return _("Your pictures stay here. Your graphics card will do the work.")


def space_sentence(plan, free_bytes):
    """What it takes and what there is, told before anything is downloaded."""
    return _("Needs about {needed} of disk space; {free} are free.").format(
        needed=gigabytes(plan.needs_bytes), free=gigabytes(free_bytes)
    )
