"""The algorithm: tensors in, steps out. No gRPC, no printing, no globals; only `weights` reads files."""

from .checkpoint import Checkpoint, CheckpointError, check_recipe, rows
from .devices import Device, DeviceError, DeviceLostError, is_alive, list_devices, pick_device, set_up
from .memory import is_out_of_memory
from .run import stylize
from .self_check import check_shortcuts
from .shortcuts import NO_SHORTCUTS, Shortcuts
from .steering import Steering
from .step import DivergedError, Look, Losses, Step
from .vgg import Vgg, load_vgg
from .weights import WeightsError

__all__ = [
    "NO_SHORTCUTS",
    "Checkpoint",
    "CheckpointError",
    "Device",
    "DeviceError",
    "DeviceLostError",
    "DivergedError",
    "Look",
    "Losses",
    "Shortcuts",
    "Steering",
    "Step",
    "Vgg",
    "WeightsError",
    "check_recipe",
    "check_shortcuts",
    "is_alive",
    "is_out_of_memory",
    "list_devices",
    "load_vgg",
    "pick_device",
    "rows",
    "set_up",
    "stylize",
]
