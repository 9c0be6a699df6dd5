"""A painting without a window: asks the helper, shows GIMP's own progress bar, inserts the result at the end."""

from pathlib import Path

import pixels
from gi.repository import Gimp
from helper_link import HelperLink
from texts import Cancelled, Refusal, _, stage_text, told

START = {"layer": "content", "noise": "noise"}
"""What our words for the beginning are in the protocol; others leave it to the recipe."""


def paint(config, drawables):
    """Paints with a procedure's arguments and returns the new layer. Raises Refusal; the image is as it was then."""
    layer = pixels.chosen_layer(drawables)
    with HelperLink() as link:
        content = pixels.read_content(layer)
        fields, parts = request(config, content)
        Gimp.progress_init(_("Impasto"))
        link.ask("paint", parts, **fields)
        name = style_name(config)
        while True:
            head, received = link.next_frame()
            match head["event"]:
                case "stage" | "progress":
                    Gimp.progress_set_text(stage_text(head))
                    if head["event"] == "progress":
                        Gimp.progress_update(head["step"] / head["steps"])
                case "job":
                    name = told(head.get("title")) or name
                case "done":
                    Gimp.progress_end()
                    return insert(config, content, head, received, name)
                case "failed":
                    raise Refusal(failure(head))
                case "cancelled":
                    raise Cancelled
                case "lost":
                    raise Refusal(link.lost_sentence())


def request(config, content):
    """Fields and parts of a `paint` request."""
    style, parts = style_of(config)
    fields = {
        "server": config.get_property("server") or "",
        "content": content.size,
        "style": style,
        "recipe": config.get_property("recipe") or "",
        "strength": config.get_property("strength"),
        "smoothness": config.get_property("smoothness"),
        "size_px": config.get_property("size"),
        "steps": config.get_property("steps"),
        "seed": config.get_property("seed"),
        "learning_rate": config.get_property("learning-rate"),
        "initial_image": START.get(config.get_property("initial-image"), ""),
        "weights": config.get_property("weights") or "",
        "depth": content.depth,
        "note": {**content.place, "style": own_style_name(config)},
    }
    return fields, {**content.parts("content"), **parts}


def style_of(config):
    """The style of a request: a layer if one is given, else a file, else the gallery's."""
    drawable, file = config.get_property("style-drawable"), config.get_property("style-file")
    if drawable is not None:
        return pixels.read_style(drawable)
    if file is not None:
        return {"file": file.get_path() or ""}, {}
    return {"gallery": config.get_property("style") or ""}, {}


def insert(config, content, head, received, name):
    """The new layer of a `done` frame."""
    numbers = pixels.painted_numbers(content, head, received)
    mode, opacity = config.get_property("layer-mode"), config.get_property("opacity")
    return pixels.insert_painting(content, numbers, head["depth"], pixels.Look(name, mode, opacity))


def style_name(config):
    """What the new layer is called, as long as the gallery has no better word."""
    return own_style_name(config) or config.get_property("style") or _("Painting")


def own_style_name(config):
    """The name of a file or layer that is the style; empty if the gallery's is."""
    drawable, file = config.get_property("style-drawable"), config.get_property("style-file")
    if drawable is not None:
        return drawable.get_name()
    if file is not None:
        return Path(file.get_basename()).stem
    return ""


def failure(head):
    """One sentence or two for what went wrong; says where the picture is if there is one to be had."""
    if head.get("job") and head.get("kind") in ("ServerUnavailableError", "LocalServerError"):
        hint = _("The job may go on: Filters → Artistic → Neural Style: Recover… fetches its picture.")
        return f"{head['sentence']} {hint}"
    return head["sentence"]
