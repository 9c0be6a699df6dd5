"""The servers that a host has named, each with its client and with what is known of it by now."""

import threading
import time
from collections.abc import Mapping
from typing import Any

from impasto import _invitations
from impasto._client import Client
from impasto._config import invitations_path
from impasto._events import StoredImage
from impasto._exceptions import ParameterError
from impasto._helper._rates import rates
from impasto._server_info import Recipe, ServerInfo

USUAL_PX = 512
"""What is painted where neither recipe nor host says a size."""


class Server:
    """One server. Threads may share it."""

    def __init__(self, name: str) -> None:
        self.client = Client(name or None)
        # The private server's address changes with its version; how quick it is doesn't.
        self.rates_key = self.client.address
        self.thumbnails: dict[str, StoredImage | None] = {}
        """Those of ended jobs, by the job's name; None for a result that has none."""
        self._titles: Mapping[str, str] | None = None

    @property
    def address(self) -> str:
        """Where it is; `local` for the private one until it was found or started."""
        return self.client.address

    def info(self) -> ServerInfo:
        """What it is and offers, asked anew."""
        info = self.client.server_info()
        self._titles = {style.name: style.title for style in info.gallery}
        return info

    def titles(self) -> Mapping[str, str]:
        """What its gallery's styles are called, by name; asked once."""
        if self._titles is None:
            self.info()
        return self._titles or {}


class Servers:
    """Servers by the names that a host gives them; empty is what the client is configured for."""

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}
        self._lock = threading.Lock()

    def named(self, name: str) -> Server:
        """The server of this name. Raises ConfigurationError."""
        with self._lock:
            if name not in self._servers:
                self._servers[name] = Server(name)
            return self._servers[name]

    def keep_invitation(self, name: str) -> None:
        """What led to an answer is kept, so that the server's address is enough from here on."""
        if _invitations.is_invitation(name):
            invitation = _invitations.parse(name)
            _invitations.keep(invitations_path(), invitation)
            with self._lock:  # a client that tried the address alone knows nothing of it
                self._servers.pop(invitation.address, None)


def describe_server(server: Server) -> dict[str, Any]:
    """The answer to `server`: devices, queue, recipes, gallery; `round_trip_ms` is a second call's."""
    server.info()
    started = time.perf_counter()
    info = server.info()
    round_trip_ms = (time.perf_counter() - started) * 1000
    return {
        "address": server.address,
        "version": info.version,
        "devices": [{"name": d.name, "description": d.description, "busy": d.busy} for d in info.devices],
        "queued_jobs": info.queued_jobs,
        "running_jobs": info.running_jobs,
        "round_trip_ms": round(round_trip_ms, 1),
        "max_size_px": info.limits.max_size_px,
        "weights": [{"name": w.name, "description": w.description} for w in info.weights],
        "recipes": [
            {"name": r.name, "summary": r.summary, "defaults": dict(r.defaults), "size_px": own_size_px(r)}
            for r in info.recipes
        ],
        "gallery": [{"name": g.name, "title": g.title, "description": g.description} for g in info.gallery],
        "rates": rates(server.rates_key),
    }


def own_size_px(recipe: Recipe) -> int:
    """Long side of what a recipe paints if nobody says otherwise."""
    sides = (float(recipe.defaults.get(name) or 0) for name in ("size_px", "height_px", "width_px"))
    return int(max(sides)) or USUAL_PX


def choose_recipe(info: ServerInfo, name: str) -> Recipe:
    """The recipe of this name, or the server's default. Raises ParameterError."""
    if not name:
        return info.recipes[0]
    for recipe in info.recipes:
        if recipe.name == name:
            return recipe
    known = ", ".join(recipe.name for recipe in info.recipes)
    raise ParameterError(f"The server has no recipe {name!r}; it has {known}.", field="spec.recipe")
