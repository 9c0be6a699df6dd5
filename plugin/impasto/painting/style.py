"""In whose manner: what a procedure's configuration says of styles, as a request says it."""

import json
from pathlib import Path

from painting.layer_key import layer_called
from painting.style_layer import is_missing, style_layer
from picture.content import read_style
from texts import Refusal, _

SOURCES = ("gallery", "file", "layer")
GONE = _("The style's layer is gone: choose another style.")


def style_of(config):
    """The style of a request and its pixels: a layer if one is given, else a file, else the gallery's.

    With what is mixed in. Raises Refusal.
    """
    drawable, file, part = style_layer(config), config.get_property("style-file"), chosen_part(config)
    if is_missing(config):
        raise Refusal(GONE)
    if drawable is not None:
        style, parts = read_style(drawable, "style", part)
    elif file is not None:
        style, parts = {"file": file.get_path() or "", **({"crop": part} if part else {})}, {}
    else:
        style, parts = {"gallery": config.get_property("style") or ""}, {}
    mixed = mixture_of(config)
    if not mixed:
        return style, parts
    mixture = [{"weight": 1.0, **style, **({"part": "style"} if parts else {})}]
    for number, one in enumerate(mixed, 1):
        if "layer" in one:
            one, more = mixed_layer(one, f"style{number}")
            parts |= more
        mixture.append(one)
    return {"mixture": mixture}, parts


def mixed_layer(style, part):
    """A layer of a mixture, and its pixels. Raises Refusal."""
    layer = layer_called(style["layer"])
    if layer is None:
        raise Refusal(
            _("{layer} was in the mixture and is not open any more: take it out.").format(
                layer=style.get("name") or "?"
            )
        )
    size, parts = read_style(layer, part, style.get("crop"))
    return {"weight": style["weight"], **size, "part": part}, parts


def mixture_of(config):
    """The styles that are mixed with the first: objects with `weight`, one of SOURCES, `name` of a layer, and `crop`.

    Raises Refusal.
    """
    text = config.get_property("mixture") or ""
    if not text:
        return []
    try:
        return [mixed_style(one) for one in json.loads(text) if float(one["weight"]) > 0]
    except (ValueError, TypeError, KeyError):
        raise Refusal(
            _('The mixture makes no sense: [{"weight": 0.5, "gallery": "wave-woodcut"}] was expected.')
        ) from None


def mixed_style(one):
    """One of a mixture. Raises ValueError, TypeError or KeyError."""
    style = {"weight": float(one["weight"]), **{key: str(one[key]) for key in (*SOURCES, "name") if key in one}}
    return {**style, "crop": checked_part(one["crop"])} if "crop" in one else style


def chosen_part(config):
    """Which part of a file or layer is the style: x, y, width and height, 0 to 1; None for all. Raises Refusal."""
    text = config.get_property("style-part") or ""
    if not text:
        return None
    try:
        return checked_part(text.split())
    except ValueError:
        raise Refusal(_("The part of the style makes no sense: 0.25 0.25 0.5 0.5 was expected.")) from None


def checked_part(numbers):
    """Four numbers that are a rectangle in a picture. Raises ValueError."""
    x, y, width, height = (float(number) for number in numbers)
    if min(x, y) < 0 or min(width, height) <= 0 or x + width > 1.001 or y + height > 1.001:
        raise ValueError
    return [x, y, width, height]


def text_of_part(part):
    """As the configuration has it."""
    return " ".join(f"{number:.4g}" for number in part) if part else ""


def own_style_name(config):
    """The name of a file or layer that is the style; empty if the gallery's is."""
    drawable, file = style_layer(config), config.get_property("style-file")
    if drawable is not None:
        return drawable.get_name() or ""
    if file is not None:
        return Path(file.get_basename()).stem
    return ""
