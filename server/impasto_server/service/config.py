"""How a server is run, as its operator decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from impasto_server.engine import SILENCE_S
from impasto_server.jobs import Limits

from .certificate import Certificate


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """`listen` is `HOST:PORT` or `unix:/path`; `idle_exit_s` None: never by itself.

    With a certificate it encrypts, and lets in the guests of its state folder only; without, whoever reaches it.
    """

    listen: str
    state_dir: Path
    certificate: Certificate | None = None
    devices: tuple[str, ...] = ("auto",)
    limits: Limits = field(default_factory=Limits)
    max_size_px: int = 16384
    max_image_bytes: int = 2**30
    max_image_pixels: int = 270_000_000
    weight_files: bool = False
    drain_s: float = 10.0
    silence_s: float = SILENCE_S
    keepalive_s: float = 30.0
    idle_exit_s: float | None = None
