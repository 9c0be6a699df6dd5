"""A painting as a new layer: above what it was painted from, in its place, as that was then; or in a new image."""

import tempfile
from array import array
from dataclasses import dataclass
from pathlib import Path

from gi.repository import Gegl, Gimp

from picture.colour import space_of_profile
from picture.content import flat, is_there, mark_of

MODES = {
    "light": Gimp.LayerMode.LCH_LIGHTNESS,
    "colours": Gimp.LayerMode.LCH_COLOR,
    "soft-light": Gimp.LayerMode.SOFTLIGHT,
    "overlay": Gimp.LayerMode.OVERLAY,
}
"""What a painting can be used as; anything else is a layer like any other."""
PAINTED_FROM = "impasto-painted-from"
"""Name of the parasite that tells of a painting what it was painted from."""
CUBIC_ZOOM = 2.0
"""Up to here a 16-bit picture is enlarged with a cubic sampler, beyond with a linear one, which takes half the time."""


@dataclass(frozen=True)
class Look:
    """What kind of layer a painting becomes."""

    name: str
    mode: str = ""
    """A word of MODES."""
    opacity: float = 100.0


def is_open(image, display=None):
    """True for an open image that has room for a painting's colours.

    GIMP holds an image as long as a procedure runs on it: that it was closed shows by the display it was called from,
    unless it was the last one (see may_be_unseen).
    """
    if display is not None and not display.is_valid():
        return False
    return image.is_valid() and image.get_base_type() != Gimp.ImageBaseType.INDEXED


def may_be_unseen(image, display):
    """True if nobody can tell whether an image is still shown: it is the last one.

    GIMP keeps the window of the last image, empty, with the same number, and no procedure of GIMP says what a display
    shows. (gimp-displays-reconnect and gimp-display-new would, but they give away a reference that isn't ours.)
    """
    return display is not None and [one.get_id() for one in Gimp.get_images()] == [image.get_id()]


def insert_painting(content, head, parts, look):
    """A new layer with the picture of a `done` frame, in one undo step; the layers selected before stay selected.

    It goes above its source and what was painted from that before, or on top if the source is gone.
    """
    image, source = content.image, content.layer
    pixels = numbers_of(content, head, parts)
    chosen = [one.get_id() for one in image.get_selected_layers()]
    parent, position = None, 0
    if is_there(source):
        parent, position = source.get_parent(), position_above(image, source)
    # A layer that is finished in an image of its own would be converted; so it is finished within one undo step.
    image.undo_group_start()
    try:
        layer = new_layer(image, look, *content.layer_size, has_alpha=content.channels == 4)
        rectangle = Gegl.Rectangle.new(content.x, content.y, content.width, content.height)
        write(layer, rectangle, content.space.format(content.components, f"u{head['depth']}"), pixels)
        layer.attach_parasite(Gimp.Parasite.new(PAINTED_FROM, Gimp.PARASITE_PERSISTENT, content.mark))
        image.insert_layer(layer, parent, position)
        layer.set_offsets(*content.offsets)
        if content.selection:
            cut_out(layer, rectangle, content.selection)
        if content.layer_mask:
            put_on(layer, content.layer_mask)
        # The next painting is of what this one was of.
        image.set_selected_layers([one for one in flat(image.get_layers()) if one.get_id() in chosen] or [layer])
    finally:
        image.undo_group_end()
    Gimp.displays_flush()
    return layer


def position_above(image, source):
    """Where a new painting of a layer goes: above earlier ones that lie directly above it, or nobody would see it."""
    parent = source.get_parent()
    siblings = parent.get_children() if parent else image.get_layers()
    position = image.get_item_position(source)
    while position and is_painting_of(siblings[position - 1], source):
        position -= 1
    return position


def is_painting_of(layer, source):
    """True for a layer that was painted from another."""
    parasite = layer.get_parasite(PAINTED_FROM)
    return parasite is not None and bytes(parasite.get_data()) == mark_of(source)


def open_in_new_image(content, head, parts, look):
    """The same picture in an image of its own, for one whose image was closed meanwhile."""
    precision = Gimp.Precision.U16_NON_LINEAR if head["depth"] == 16 else Gimp.Precision.U8_NON_LINEAR
    image = Gimp.Image.new_with_precision(content.width, content.height, Gimp.ImageBaseType.RGB, precision)
    if content.space.profile:
        image.set_color_profile(Gimp.ColorProfile.new_from_icc_profile(content.space.profile))
    layer = new_layer(image, look, content.width, content.height, has_alpha=content.channels == 4)
    rectangle = Gegl.Rectangle.new(0, 0, content.width, content.height)
    pixels = numbers_of(content, head, parts)
    write(layer, rectangle, content.space.format(content.components, f"u{head['depth']}"), pixels)
    image.insert_layer(layer, None, 0)
    if content.selection:
        cut_out(layer, rectangle, content.selection)
    Gimp.Display.new(image)
    Gimp.displays_flush()
    return image


def insert_recovered(image, layer, head, parts, look):
    """A fetched picture above a layer (None: on top): at its old place if this may be its image, else at the corner."""
    width, height, kind = head["width"], head["height"], f"u{head['depth']}"
    note = head.get("note") or {}
    chosen = [one.get_id() for one in image.get_selected_layers()]
    new = new_layer(image, look, width, height, has_alpha=True)
    if head["depth"] == 16:
        data = numbers_of_file(parts["file"], (width, height), f"R'G'B'A {kind}", f"R'G'B'A {kind}")
    else:
        data = parts["pixels"]
    space = space_of_profile(parts.get("profile", b""))
    write(new, Gegl.Rectangle.new(0, 0, width, height), space.format("R'G'B'A", kind), data)
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
        if chosen:
            image.set_selected_layers([one for one in flat(image.get_layers()) if one.get_id() in chosen])
    finally:
        image.undo_group_end()
    Gimp.displays_flush()
    return new


def new_layer(image, look, width, height, *, has_alpha):
    """An empty layer of the image's own kind."""
    if image.get_base_type() == Gimp.ImageBaseType.GRAY:
        kind = Gimp.ImageType.GRAYA_IMAGE if has_alpha else Gimp.ImageType.GRAY_IMAGE
    else:
        kind = Gimp.ImageType.RGBA_IMAGE if has_alpha else Gimp.ImageType.RGB_IMAGE
    mode = MODES.get(look.mode, image.get_default_new_layer_mode())
    return Gimp.Layer.new(image, look.name, width, height, kind, look.opacity, mode)


def write(drawable, rectangle, format_name, pixels):
    """Sets a region. Only `bytes` are fast here."""
    buffer = drawable.get_buffer()
    buffer.set(rectangle, format_name, bytes(pixels))
    buffer.flush()
    drawable.update(rectangle.x, rectangle.y, rectangle.width, rectangle.height)


def cut_out(layer, rectangle, selection):
    """Leaves of a layer what was selected, half of it where the selection was feathered."""
    mask = layer.create_mask(Gimp.AddMaskType.BLACK)
    layer.add_mask(mask)
    write(mask, rectangle, selection.format_name, selection.data)
    layer.remove_mask(Gimp.MaskApplyMode.APPLY)


def put_on(layer, layer_mask):
    """The source's layer mask, on the new layer."""
    copy = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(copy)
    rectangle = Gegl.Rectangle.new(0, 0, layer_mask.width, layer_mask.height)
    write(copy, rectangle, layer_mask.mask.format_name, layer_mask.mask.data)
    layer.set_apply_mask(layer_mask.is_applied)
    layer.set_edit_mask(False)


def numbers_of(content, head, parts):
    """The numbers of a `done` frame, at the content's size: 8 bits a channel as they came, or 16 out of a file."""
    if head["depth"] == 8:
        return parts["pixels"]
    # Read without transparency: what can't be seen has a colour, too, and enlarging would lose it.
    size = content.width, content.height
    numbers = numbers_of_file(parts["file"], size, "R'G'B' u16", f"{content.components} u16")
    if not content.alpha:
        return numbers
    # The layer's own transparency: the file's has 8 bits, and has been smaller.
    together = array("H", numbers)
    together[3::4] = array("H", content.alpha)
    return together.tobytes()


def numbers_of_file(png, size, read_as, format_name):
    """The numbers in a PNG without a profile, enlarged. GEGL reads 16 bits as they are, and no space is applied."""
    width, height = size
    Gegl.init(None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "painting.png"
        path.write_bytes(png)
        graph = Gegl.Node.new()
        load = graph.create_child("gegl:png-load")
        load.set_property("path", str(path))
        box = load.get_bounding_box()
        painted = drawn(graph, load, box.width, box.height, read_as)
    here = box.width, box.height
    between = min(width, round(here[0] * CUBIC_ZOOM)), min(height, round(here[1] * CUBIC_ZOOM))
    if between not in (here, size):
        painted, here = scaled(painted, between, Gegl.SamplerType.CUBIC, read_as), between
    if here != size:
        sampler = Gegl.SamplerType.CUBIC if between == size else Gegl.SamplerType.LINEAR
        painted = scaled(painted, size, sampler, format_name)
    return painted.get(Gegl.Rectangle.new(0, 0, width, height), 1.0, format_name, Gegl.AbyssPolicy.NONE)


def scaled(buffer, size, sampler, format_name):
    """A buffer at another size."""
    graph = Gegl.Node.new()
    source, scale = graph.create_child("gegl:buffer-source"), graph.create_child("gegl:scale-size")
    source.set_property("buffer", buffer)
    for name, value in (("x", size[0]), ("y", size[1]), ("sampler", sampler)):
        scale.set_property(name, value)
    source.link(scale)
    return drawn(graph, scale, *size, format_name)


def drawn(graph, node, width, height, format_name):
    """A buffer with what a node gives."""
    buffer = Gegl.Buffer.new(format_name, 0, 0, width, height)
    write_node = graph.create_child("gegl:write-buffer")
    write_node.set_property("buffer", buffer)
    node.link(write_node)
    write_node.process()
    return buffer
