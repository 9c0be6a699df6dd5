"""How long paintings take on each server from here: seconds per megapixel, learnt from those that came to their end."""

import contextlib
import json
import threading
from pathlib import Path
from typing import Any

from impasto._whole_file import write_whole

MOST_SERVERS = 50
SMALLEST_MEGAPIXELS = 0.03
"""In smaller pictures the time goes into everything but pixels, so they say nothing of larger ones."""

_writing = threading.Lock()


def rates_path() -> Path:
    """Where rates are kept, if there are any."""
    import platformdirs

    return platformdirs.user_state_path("impasto") / "rates.json"


def rates(server: str) -> dict[str, float]:
    """Seconds per megapixel by recipe, as last measured on a server; without those that never were."""
    known = read_rates().get(server)
    return {name: rate for name, rate in known.items() if isinstance(rate, float)} if isinstance(known, dict) else {}


def learn(server: str, recipe: str, seconds: float, megapixels: float) -> None:
    """Takes in a whole painting with the recipe's own steps; on a full disk it gets lost."""
    if megapixels < SMALLEST_MEGAPIXELS or seconds <= 0:
        return
    path = rates_path()
    with _writing, contextlib.suppress(OSError):
        known = read_rates()
        before = known.pop(server, {})
        # The latest server last: the first is forgotten first.
        known[server] = {**(before if isinstance(before, dict) else {}), recipe: round(seconds / megapixels, 3)}
        for name in list(known)[:-MOST_SERVERS]:
            del known[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(known).encode())


def read_rates() -> dict[str, Any]:
    """What was kept; empty if nothing was, or if it can't be read."""
    try:
        known = json.loads(rates_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
