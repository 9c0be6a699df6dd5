"""Everything that one painting needs, frozen when it is asked for: nothing is looked at again when it comes back."""

import json
from dataclasses import dataclass
from pathlib import Path

from painting.style_layer import style_layer
from picture.content import freeze, read_style
from picture.insertion import Look
from texts import Refusal, _

START = {"layer": "content", "noise": "noise"}
"""What our words for the beginning are in the protocol; others leave it to the recipe."""
REMEMBERED = (
    "style", "style-file", "mixture", "recipe", "strength", "smoothness", "size", "steps", "seed", "initial-image",
    "learning-rate", "weights", "layer-mode", "opacity",
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


def style_of(config):
    """The style of a request: a layer if one is given, else a file, else the gallery's; and what is mixed with it."""
    drawable, file = style_layer(config), config.get_property("style-file")
    if drawable is not None:
        style, parts = read_style(drawable)
        style["part"] = "style"
    elif file is not None:
        style, parts = {"file": file.get_path() or ""}, {}
    else:
        style, parts = {"gallery": config.get_property("style") or ""}, {}
    if mixed := mixture_of(config):
        return {"mixture": [{"weight": 1.0, **style}, *mixed]}, parts
    style.pop("part", None)
    return style, parts


def mixture_of(config):
    """The styles that are mixed with the first: objects with `weight` and `gallery` or `file`. Raises Refusal."""
    text = config.get_property("mixture") or ""
    if not text:
        return []
    try:
        mixed = json.loads(text)
        return [
            {"weight": float(one["weight"]), **{key: str(one[key]) for key in ("gallery", "file") if key in one}}
            for one in mixed
            if float(one["weight"]) > 0
        ]
    except (ValueError, TypeError, KeyError):
        raise Refusal(
            _('The mixture makes no sense: [{"weight": 0.5, "gallery": "wave-woodcut"}] was expected.')
        ) from None


def own_style_name(config):
    """The name of a file or layer that is the style; empty if the gallery's is."""
    drawable, file = style_layer(config), config.get_property("style-file")
    if drawable is not None:
        return drawable.get_name() or ""
    if file is not None:
        return Path(file.get_basename()).stem
    return ""


def settings_of(config):
    """What is remembered of a configuration."""
    settings = {name: config.get_property(name) for name in REMEMBERED if name != "style-file"}
    file = config.get_property("style-file")
    return {**settings, "style-file": file.get_path() or "" if file is not None else ""}
