"""A picture that was painted earlier, from the server into the image, without a window."""

import pixels
from gi.repository import Gegl, Gimp
from helper_link import HelperLink
from texts import Refusal, _, told


def recover(config, image, drawables):
    """Inserts a finished job's picture as a new layer and returns it. Raises Refusal."""
    pixels.check_colours(image)
    layer = pixels.chosen_layer(drawables) if len(drawables) == 1 else None
    fields = {"job": config.get_property("job") or "", "server": config.get_property("server") or ""}
    fields["depth"] = pixels.depth_of(image)
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
    """The new layer, above the chosen one: at its old place if this may be its image, else at the chosen corner."""
    width, height, kind = head["width"], head["height"], f"u{head['depth']}"
    note = head.get("note") or {}
    name = note.get("style") or told(head.get("title")) or head["style"] or _("Painting")
    new = pixels.new_layer(image, pixels.Look(name), width, height, has_alpha=True)
    if head["depth"] == 16:
        data = pixels.numbers_of_file(parts["file"], (width, height), f"R'G'B'A {kind}", f"R'G'B'A {kind}")
    else:
        data = parts["pixels"]
    space = pixels.space_of_profile(parts.get("profile", b""))
    pixels.write(new.get_buffer(), Gegl.Rectangle.new(0, 0, width, height), space.format("R'G'B'A", kind), data)
    image.undo_group_start()
    try:
        if layer is None:
            image.insert_layer(new, None, 0)
        else:
            image.insert_layer(new, layer.get_parent(), image.get_item_position(layer))
            _found, *corner = layer.get_offsets()
            new.set_offsets(*corner)
        if note.get("image") == [image.get_width(), image.get_height()]:
            new.set_offsets(*note["place"])
    finally:
        image.undo_group_end()
    Gimp.displays_flush()
    return new
