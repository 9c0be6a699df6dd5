"""gRPC in and out: translation, errors, limits. Knows the jobs room, never the algorithm."""

from .front_door import CannotServe, Settings, serve
from .stylizer import Policy

__all__ = ["CannotServe", "Policy", "Settings", "serve"]
