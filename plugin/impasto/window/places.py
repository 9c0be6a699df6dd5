"""Where in GIMP's profile the plug-in keeps what it remembers."""

from pathlib import Path

from gi.repository import Gimp


def kept_folder():
    """Beside GIMP's own settings of plug-ins, and gone with the profile."""
    return Path(Gimp.directory()) / "impasto"


def choices_path():
    """Favourites, folders, presets."""
    return kept_folder() / "choices.json"


def painted_folder():
    """What was painted."""
    return kept_folder() / "painted"
