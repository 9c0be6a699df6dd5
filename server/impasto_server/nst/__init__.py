"""The algorithm: tensors in, steps out. No gRPC, no printing, no globals; only `weights` reads files."""

from .devices import Device, DeviceError, list_devices, pick_device
from .run import Checkpoint, CheckpointError, Losses, Steering, Step, picture
from .stylize import stylize
from .vgg import Vgg, load_vgg
from .weights import WeightsError

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "Device",
    "DeviceError",
    "Losses",
    "Steering",
    "Step",
    "Vgg",
    "WeightsError",
    "list_devices",
    "load_vgg",
    "pick_device",
    "picture",
    "stylize",
]
