"""Where in GIMP's profile the plug-in keeps what it remembers, and under which key."""

import os
from pathlib import Path

from gi.repository import Gimp

from history.painted import key_of


def kept_folder():
    """Beside GIMP's own settings of plug-ins, and gone with the profile."""
    return Path(Gimp.directory()) / "impasto"


def choices_path():
    """Favourites, folders, presets."""
    return kept_folder() / "choices.json"


def painted_folder():
    """What was painted."""
    return kept_folder() / "painted"


def history_key(layer):
    """What a layer's paintings are kept under."""
    image = layer.get_image()
    file = image.get_xcf_file() or image.get_imported_file()
    # An image that was never saved is this session's only.
    return key_of(file.get_path() if file else "", f"{os.getppid()}.{image.get_id()}", layer.get_tattoo())
