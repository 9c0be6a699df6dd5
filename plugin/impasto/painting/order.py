"""Everything that one painting needs, frozen when it is asked for: nothing is looked at again when it comes back."""

from dataclasses import dataclass

from gi.repository import Gimp

from painting.layer_key import layer_key
from painting.style import own_style_name, style_of
from painting.style_layer import style_layer
from picture.content import freeze
from picture.insertion import Look
from texts import _

START = {"layer": "content", "noise": "noise"}
"""What our words for the beginning are in the protocol; others leave it to the recipe."""
REMEMBERED = (
    "style", "style-file", "style-layer", "style-part", "mixture", "recipe", "strength", "smoothness", "size", "steps",
    "seed", "initial-image", "learning-rate", "weights", "layer-mode", "opacity",
)  # fmt: skip
"""Properties of the procedure that make one painting different from another."""


@dataclass(frozen=True)
class Order:
    """One painting, asked for."""

    content: object
    fields: dict
    """Of the `paint` request."""
    parts: dict
    look: Look
    settings: dict
    """REMEMBERED properties as JSON has them."""

    @property
    def server(self):
        """Who paints; empty for the configured one."""
        return self.fields["server"]


def order(config, layer, *, server=None, continue_from="", size_px=None):
    """The order that a procedure's configuration is now. `server` and `size_px` take the place of what is in there.

    Raises Refusal if there is nothing to paint.
    """
    content = freeze(layer)
    style, parts = style_of(config)
    fields = {
        "server": config.get_property("server") or "" if server is None else server,
        "content": content.size,
        "style": style,
        "recipe": config.get_property("recipe") or "",
        "strength": config.get_property("strength"),
        "smoothness": config.get_property("smoothness"),
        "size_px": config.get_property("size") or size_px or 0,
        "steps": config.get_property("steps"),
        "seed": config.get_property("seed"),
        "learning_rate": config.get_property("learning-rate"),
        "initial_image": START.get(config.get_property("initial-image"), ""),
        "weights": config.get_property("weights") or "",
        "depth": content.depth,
        "continue_from": continue_from,
        "note": {**content.place, "style": own_style_name(config)},
    }
    name = own_style_name(config) or config.get_property("style") or _("Painting")
    look = Look(name, config.get_property("layer-mode"), config.get_property("opacity"))
    return Order(content, fields, {**content.parts(), **parts}, look, settings_of(config))


def settings_of(config):
    """What is remembered of a configuration."""
    settings = {name: config.get_property(name) for name in REMEMBERED}
    settings = {name: "" if value is None else value for name, value in settings.items()}
    file, layer = config.get_property("style-file"), style_layer(config)
    settings["style-file"] = file.get_path() or "" if file is not None else ""
    if isinstance(layer, Gimp.Layer):
        settings["style-layer"] = layer_key(layer)
    return settings
