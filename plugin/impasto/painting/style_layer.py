"""The layer that is the style, also of the last time: GIMP can't write layers down with a procedure's last values.

What is written instead is its key (layer_key.py), by which it is found as long as its image is open, in any session.
"""

from painting.layer_key import layer_called, layer_key


def style_layer(config):
    """The layer that a configuration takes its style from; None if there is none, or not any more."""
    given = config.get_property("style-drawable")
    return given if given is not None else layer_called(config.get_property("style-layer"))


def is_missing(config):
    """True if the style was a layer that isn't open any more."""
    return bool(config.get_property("style-layer")) and style_layer(config) is None


def set_style_layer(config, layer):
    """Takes the style from a layer; None for not any more."""
    config.set_property("style-drawable", None)
    config.set_property("style-layer", layer_key(layer) if layer is not None else "")
