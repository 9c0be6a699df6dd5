"""The layer that is the style, also of the last time: GIMP can't write layers down with a procedure's last values.

What is written instead is the layer's number, which means nothing in another session of GIMP.
"""

import os

from gi.repository import Gimp


def style_layer(config):
    """The layer that a configuration takes its style from; None if it takes a file's or the gallery's."""
    given = config.get_property("style-drawable")
    if given is not None:
        return given
    session, _space, number = (config.get_property("style-layer") or "").partition(" ")
    if session != str(os.getppid()) or not number.isdigit() or not Gimp.Item.id_is_valid(int(number)):
        return None
    return Gimp.Drawable.get_by_id(int(number))


def set_style_layer(config, layer):
    """Takes the style from a layer; None for not any more."""
    config.set_property("style-drawable", None)
    config.set_property("style-layer", f"{os.getppid()} {layer.get_id()}" if layer is not None else "")
