"""The engine of one machine: a process for each device, each on a pipe of its own."""

from .engine import LocalEngine

__all__ = ["LocalEngine"]
