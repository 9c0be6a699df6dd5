"""The algorithm: tensors in, steps out. No gRPC, no printing, no globals; only `weights` reads files."""

from .devices import Device, DeviceError, list_devices, pick_device, set_up
from .memory import is_out_of_memory
from .run import Checkpoint, CheckpointError, Look, Losses, Steering, Step, check_recipe, rows
from .stylize import stylize
from .vgg import Vgg, load_vgg
from .weights import WeightsError

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "Device",
    "DeviceError",
    "Look",
    "Losses",
    "Steering",
    "Step",
    "Vgg",
    "WeightsError",
    "check_recipe",
    "is_out_of_memory",
    "list_devices",
    "load_vgg",
    "pick_device",
    "rows",
    "set_up",
    "stylize",
]
