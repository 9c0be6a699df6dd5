"""What was painted from a layer: settings, job and a picture for the screen, a file each, kept over sessions."""

import contextlib
import json
import time
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from history.files import write_whole

MOST_KEPT = 300
"""The oldest that are no favourites make room."""


@dataclass(frozen=True)
class Painted:
    """One painting that was finished. Its full picture is the server's: `job` finds it."""

    of: str
    """What it was painted from: see `key_of`."""
    name: str
    """What its layer is called."""
    settings: dict
    server: str
    job: str
    width: int
    """Of what was painted, in pixels, before it was enlarged."""
    height: int
    seconds: float
    is_partial: bool = False
    is_favourite: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    time: float = field(default_factory=time.time)


class PaintedFolder:
    """The paintings in a folder. A disk that is full or a file that is broken costs the history, never a painting."""

    def __init__(self, folder):
        self._folder = Path(folder)

    def keep(self, painted, picture=b""):
        """Writes one down, with a JPEG of it for the screen."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            if picture:
                write_whole(self.picture_path(painted), picture)
            write_whole(self._path(painted.id), json.dumps(asdict(painted)).encode())
            self._make_room()

    def of(self, key):
        """Those of one layer, the newest first."""
        return [one for one in self._all() if one.of == key]

    def mark(self, painted, is_favourite):
        """The same as a favourite, or as none any more."""
        marked = replace(painted, is_favourite=is_favourite)
        with contextlib.suppress(OSError):
            write_whole(self._path(painted.id), json.dumps(asdict(marked)).encode())
        return marked

    def forget(self, painted):
        """Takes one out; its job stays on the server."""
        for path in (self._path(painted.id), self.picture_path(painted)):
            with contextlib.suppress(OSError):
                path.unlink()

    def picture_path(self, painted):
        """Where its picture for the screen is, if there is one."""
        return self._folder / f"{painted.id}.jpg"

    def _path(self, painted_id):
        return self._folder / f"{painted_id}.json"

    def _all(self):
        found = []
        for path in self._folder.glob("*.json"):
            # Another version's, or half of one: not ours to show.
            with contextlib.suppress(OSError, ValueError, TypeError):
                found.append(Painted(**json.loads(path.read_text(encoding="utf-8"))))
        return sorted(found, key=lambda one: one.time, reverse=True)

    def _make_room(self):
        old = [one for one in self._all() if not one.is_favourite][MOST_KEPT:]
        for one in old:
            self.forget(one)


def key_of(image_path, image_in_session, tattoo):
    """What a layer is called in the history: the image's file if it has one, and the layer's number in it.

    An image that was never saved has a name for as long as GIMP runs.
    """
    return f"{image_path or f'unsaved {image_in_session}'}#{tattoo}"
