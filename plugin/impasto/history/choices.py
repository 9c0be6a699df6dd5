"""What the painter chose before: favourite and recent styles, folders with pictures, presets, the window's size."""

import contextlib
import json
from pathlib import Path

from history.files import write_whole

MOST_RECENT = 12


class Choices:
    """A JSON file. One that can't be read is as good as none; one that can't be written is forgotten with us."""

    def __init__(self, path):
        self._path = Path(path)
        self._values = {}
        with contextlib.suppress(OSError, ValueError):
            values = json.loads(self._path.read_text(encoding="utf-8"))
            self._values = values if isinstance(values, dict) else {}

    @property
    def favourites(self):
        """Names of gallery styles and paths of files, the painter's own order."""
        return self._list("favourites")

    @property
    def recent_files(self):
        """Paths of style files that were used, the newest first."""
        return self._list("recent_files")

    @property
    def folders(self):
        """Folders with pictures to take styles from."""
        return self._list("folders")

    @property
    def presets(self):
        """Settings by the name that the painter gave them."""
        presets = self._values.get("presets")
        return {k: v for k, v in presets.items() if isinstance(v, dict)} if isinstance(presets, dict) else {}

    @property
    def window_size(self):
        """Width and height that the window had; None before the first time."""
        size = self._values.get("window_size")
        good = isinstance(size, list) and len(size) == 2 and all(isinstance(one, int) and one > 0 for one in size)
        return tuple(size) if good else None

    def toggle_favourite(self, style):
        """Makes a style a favourite, or none any more; True if it is one now."""
        rest = [one for one in self.favourites if one != style]
        is_new = len(rest) == len(self.favourites)
        self._set("favourites", [*rest, style] if is_new else rest)
        return is_new

    def used_file(self, path):
        """Remembers that a file was a style."""
        self._set("recent_files", [path, *(one for one in self.recent_files if one != path)][:MOST_RECENT])

    def add_folder(self, path):
        """A folder to look for pictures in."""
        self._set("folders", [path, *(one for one in self.folders if one != path)])

    def remove_folder(self, path):
        """One folder fewer."""
        self._set("folders", [one for one in self.folders if one != path])

    def keep_preset(self, name, settings):
        """Settings under a name, in place of others of that name."""
        self._set("presets", {**self.presets, name: settings})

    def forget_preset(self, name):
        """One preset fewer."""
        self._set("presets", {one: settings for one, settings in self.presets.items() if one != name})

    def keep_window_size(self, width, height):
        """For the next time."""
        self._set("window_size", [width, height])

    def _list(self, name):
        values = self._values.get(name)
        return [one for one in values if isinstance(one, str)] if isinstance(values, list) else []

    def _set(self, name, value):
        self._values = {**self._values, name: value}
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, json.dumps(self._values, indent=1, ensure_ascii=False).encode())
