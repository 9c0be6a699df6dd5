"""Who paints: the Engine protocol (`abc`) and the engine of this machine (`local`). Knows neither gRPC nor jobs."""

from .abc import (
    DeviceInfo,
    Engine,
    Failed,
    Finished,
    Losses,
    PreviewDemand,
    Previewed,
    PreviewSpec,
    Progressed,
    Report,
    Steering,
    Task,
    Worker,
    WorkerDied,
)
from .local import LocalEngine, LocalWorker

__all__ = [
    "DeviceInfo",
    "Engine",
    "Failed",
    "Finished",
    "LocalEngine",
    "LocalWorker",
    "Losses",
    "PreviewDemand",
    "PreviewSpec",
    "Previewed",
    "Progressed",
    "Report",
    "Steering",
    "Task",
    "Worker",
    "WorkerDied",
]
