"""What a layer is called where no layer can be written down: in last values, presets, and what was painted."""

import os

from gi.repository import Gimp

from history.painted import key_of
from picture.content import flat


def layer_key(layer):
    """The file of its image and its number in there; of an image without a file, a name for this session of GIMP."""
    return keys_of(layer)[0]


def keys_of(layer):
    """What it is called now, and what it was called before its image was saved."""
    image = layer.get_image()
    file = image.get_xcf_file() or image.get_imported_file()
    in_session, tattoo = f"{os.getppid()}.{image.get_id()}", layer.get_tattoo()
    unsaved = key_of("", in_session, tattoo)
    return (key_of(file.get_path(), in_session, tattoo), unsaved) if file and file.get_path() else (unsaved,)


def layer_called(key):
    """The layer with this key in an open image; None if there is none."""
    layers = (layer for image in Gimp.get_images() for layer in flat(image.get_layers()))
    return next((layer for layer in layers if key in keys_of(layer)), None) if key else None
