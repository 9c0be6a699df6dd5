"""Who paints: the Engine protocol (`abc`) and the engine of this machine (`local`). Knows neither gRPC nor jobs."""

from .abc import (
    Checkpointed,
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
    Steer,
    Steered,
    Steering,
    Task,
    Worker,
    WorkerDied,
)
from .local import LocalEngine, LocalWorker

__all__ = [
    "Checkpointed",
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
    "Steer",
    "Steered",
    "Steering",
    "Task",
    "Worker",
    "WorkerDied",
]
