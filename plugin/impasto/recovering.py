"""A picture that was painted earlier, from the server into the image, without a window."""

import pixels
from gi.repository import Gegl, Gimp
from helper_link import HelperLink
from texts import Refusal, _


def recover(config, image, drawables):
    """Inserts a finished job's picture as a new layer and returns it. Raises Refusal."""
    layer = pixels.chosen_layer(drawables) if len(drawables) == 1 else None
    fields = {"job": config.get_property("job") or "", "server": config.get_property("server") or ""}
    if layer is not None:
        fields |= {"fit_width": layer.get_width(), "fit_height": layer.get_height()}
    with HelperLink() as link:
        link.ask("fetch", **fields)
        head, parts = link.next_frame()
        if head["event"] == "lost":
            raise Refusal(link.lost_sentence())
        if head["event"] == "failed":
            raise Refusal(head["sentence"])
    return insert(image, layer, head, parts)


def insert(image, layer, head, parts):
    """The new layer, above the chosen one and at its corner, or on top of everything."""
    width, height = head["width"], head["height"]
    new = pixels.new_layer(image, head["style"] or _("Painting"), width, height, has_alpha=True)
    data = pixels.with_alpha(parts["pixels"], parts["alpha"])
    space = pixels.space_of_profile(parts.get("profile", b""))
    pixels.write(new.get_buffer(), Gegl.Rectangle.new(0, 0, width, height), space.format("R'G'B'A", "u8"), data)
    image.undo_group_start()
    try:
        if layer is None:
            image.insert_layer(new, None, 0)
        else:
            image.insert_layer(new, layer.get_parent(), image.get_item_position(layer))
            _found, x, y = layer.get_offsets()
            new.set_offsets(x, y)
    finally:
        image.undo_group_end()
    Gimp.displays_flush()
    return new
