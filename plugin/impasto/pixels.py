"""Pixels out of a layer, and a painted layer back into the image: formats, colour spaces, alpha, selection, mask."""

import tempfile
from array import array
from dataclasses import dataclass
from pathlib import Path

from gi.repository import Babl, Gegl, Gimp
from texts import Refusal, _

SMALLEST_PX = 4
FIRST_16_BIT_PRECISION = 200
"""GimpPrecision counts 8-bit kinds from 100; everything finer comes after."""
MODES = {
    "light": Gimp.LayerMode.LCH_LIGHTNESS,
    "colours": Gimp.LayerMode.LCH_COLOR,
    "soft-light": Gimp.LayerMode.SOFTLIGHT,
    "overlay": Gimp.LayerMode.OVERLAY,
}
"""What a painting can be used as; anything else is a layer like any other."""


@dataclass(frozen=True)
class Space:
    """In which numbers pixels travel: gamma-encoded values of the layer's own colour space."""

    profile: bytes
    """ICC; empty for sRGB."""
    babl: object
    """None for sRGB."""

    def format(self, components, kind):
        """Name of a babl format."""
        name = f"{components} {kind}"
        return name if self.babl is None else Babl.get_name(Babl.format_with_space(name, self.babl))


@dataclass(frozen=True)
class Content:
    """What is to be painted, and where it was."""

    image: object
    layer: object
    x: int
    """Corner of the painted region in the layer; the region is all of it, or the selection's bounds."""
    y: int
    width: int
    height: int
    is_cut: bool
    """True if there is a selection."""
    channels: int
    depth: int
    space: Space
    pixels: bytes

    @property
    def components(self):
        """What a pixel is made of, in babl's words."""
        return "R'G'B'A" if self.channels == 4 else "R'G'B'"

    @property
    def place(self):
        """Where it is in the image, for whoever brings the picture back later."""
        _found, x, y = self.layer.get_offsets()
        return {"place": [x + self.x, y + self.y], "image": [self.image.get_width(), self.image.get_height()]}

    @property
    def size(self):
        """As the helper wants to know it."""
        return {"width": self.width, "height": self.height, "channels": self.channels}

    def parts(self, name):
        """As the helper wants to get it."""
        parts = {name: self.pixels}
        if self.space.profile:
            parts[f"{name}_profile"] = self.space.profile
        return parts


@dataclass(frozen=True)
class Look:
    """What kind of layer a painting becomes."""

    name: str
    mode: str = ""
    """A word of MODES."""
    opacity: float = 100.0


def chosen_layer(drawables):
    """The one layer that is selected. Raises Refusal."""
    if len(drawables) != 1:
        raise Refusal(_("Select one layer: Impasto paints one at a time."))
    drawable = drawables[0]
    if isinstance(drawable, Gimp.LayerMask):
        drawable = Gimp.Layer.from_mask(drawable)
    if not isinstance(drawable, Gimp.Layer):
        raise Refusal(_("Select a layer: Impasto doesn't paint channels."))
    check_colours(drawable.get_image())
    return drawable


def check_colours(image):
    """Raises Refusal for images without room for a painting. GIMP's menus are insensitive there, callers are not."""
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise Refusal(_("Indexed images have too few colours for a painting: Image → Mode → RGB first."))


def depth_of(image):
    """Bits a channel that a painting has in this image: 8 or 16."""
    return 16 if int(image.get_precision()) >= FIRST_16_BIT_PRECISION else 8


def read_content(layer):
    """The pixels of a layer, or of what is selected of it. Raises Refusal."""
    image = layer.get_image()
    touched, x, y, width, height = layer.mask_intersect()
    if not touched or width < 1 or height < 1:
        raise Refusal(_("The selection misses the layer: there is nothing to paint."))
    if min(width, height) < SMALLEST_PX:
        raise Refusal(
            _("{width} × {height} pixels are too few to paint: {smallest} on each side are needed.").format(
                width=width, height=height, smallest=SMALLEST_PX
            )
        )
    space = space_of(image)
    is_cut = not Gimp.Selection.is_empty(image)
    # With alpha where the new layer will have it: what comes back has what was sent.
    components, channels = ("R'G'B'A", 4) if layer.has_alpha() or is_cut else ("R'G'B'", 3)
    rectangle = Gegl.Rectangle.new(x, y, width, height)
    pixels = layer.get_buffer().get(rectangle, 1.0, space.format(components, "u8"), Gegl.AbyssPolicy.NONE)
    return Content(
        image=image,
        layer=layer,
        x=x,
        y=y,
        width=width,
        height=height,
        is_cut=is_cut,
        channels=channels,
        depth=depth_of(image),
        space=space,
        pixels=pixels,
    )


def read_style(drawable):
    """Size and parts of a whole layer as a style, whatever is selected. Raises Refusal."""
    width, height = drawable.get_width(), drawable.get_height()
    space = space_of(drawable.get_image())
    rectangle = Gegl.Rectangle.new(0, 0, width, height)
    pixels = drawable.get_buffer().get(rectangle, 1.0, space.format("R'G'B'A", "u8"), Gegl.AbyssPolicy.NONE)
    parts = {"style": pixels}
    if space.profile:
        parts["style_profile"] = space.profile
    return {"width": width, "height": height, "channels": 4}, parts


def glance(drawable, region, longest_px):
    """Width, height and RGBA pixels of a region (x, y, width, height), small, for the screen."""
    x, y, width, height = region
    zoom = min(1.0, longest_px / max(width, height))
    # Gegl wants the rectangle in the coordinates of the scaled buffer.
    corner, size = (round(x * zoom), round(y * zoom)), (max(1, round(width * zoom)), max(1, round(height * zoom)))
    rectangle = Gegl.Rectangle.new(*corner, *size)
    return *size, drawable.get_buffer().get(rectangle, zoom, "R'G'B'A u8", Gegl.AbyssPolicy.CLAMP)


def space_of(image):
    """The colour space that pixels of an image travel in."""
    profile = image.get_color_profile()
    # Gray needs none: its axis is the same in every RGB space, and a gray profile doesn't fit RGB pixels.
    if profile is None or image.get_base_type() != Gimp.ImageBaseType.RGB or not profile.is_rgb():
        return Space(b"", None)
    if profile.is_linear():
        # Images of linear precision carry a linear profile. 8 bits of that would lose the shadows.
        profile = profile.new_srgb_trc_from_color_profile()
    return Space(bytes(profile.get_icc_profile()), profile.get_space(Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC))


def space_of_profile(icc_profile):
    """The colour space of a picture that brings its own profile; sRGB without one."""
    if not icc_profile:
        return Space(b"", None)
    profile = Gimp.ColorProfile.new_from_icc_profile(icc_profile)
    return Space(icc_profile, profile.get_space(Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC))


def painted_numbers(content, head, parts):
    """The numbers of a `done` frame, at the content's size: 8 bits a channel as they came, or 16 out of a file."""
    if head["depth"] == 8:
        return parts["pixels"]
    # Read without transparency: what can't be seen has a colour, too, and enlarging would lose it.
    size = content.width, content.height
    numbers = numbers_of_file(parts["file"], size, "R'G'B' u16", f"{content.components} u16")
    if not content.layer.has_alpha():
        return numbers
    # The layer's own transparency: the file's has 8 bits, and has been smaller.
    rectangle = Gegl.Rectangle.new(content.x, content.y, content.width, content.height)
    alpha = content.layer.get_buffer().get(rectangle, 1.0, "A u16", Gegl.AbyssPolicy.NONE)
    together = array("H", numbers)
    together[3::4] = array("H", alpha)
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
    if (box.width, box.height) != (width, height):
        graph = Gegl.Node.new()
        source, scale = graph.create_child("gegl:buffer-source"), graph.create_child("gegl:scale-size")
        source.set_property("buffer", painted)
        for name, value in (("x", width), ("y", height), ("sampler", Gegl.SamplerType.CUBIC)):
            scale.set_property(name, value)
        source.link(scale)
        painted = drawn(graph, scale, width, height, format_name)
    return painted.get(Gegl.Rectangle.new(0, 0, width, height), 1.0, format_name, Gegl.AbyssPolicy.NONE)


def drawn(graph, node, width, height, format_name):
    """A buffer with what a node gives."""
    buffer = Gegl.Buffer.new(format_name, 0, 0, width, height)
    write_node = graph.create_child("gegl:write-buffer")
    write_node.set_property("buffer", buffer)
    node.link(write_node)
    write_node.process()
    return buffer


def insert_painting(content, pixels, depth, look):
    """A new layer with the painting directly above its source, in one undo step. Returns it.

    `pixels` are of the content's size and components. The layer is finished before the image sees it.
    """
    image, source = content.image, content.layer
    layer = new_layer(image, look, source.get_width(), source.get_height(), content.channels == 4)
    rectangle = Gegl.Rectangle.new(content.x, content.y, content.width, content.height)
    format_name = content.space.format(content.components, f"u{depth}")
    _found, offset_x, offset_y = source.get_offsets()
    image.undo_group_start()
    try:
        if not content.is_cut:
            write(layer.get_buffer(), rectangle, format_name, pixels)
        image.insert_layer(layer, source.get_parent(), image.get_item_position(source))
        layer.set_offsets(offset_x, offset_y)
        if content.is_cut:
            # The shadow is what GIMP merges through the selection, feathered or not.
            write(layer.get_shadow_buffer(), rectangle, format_name, pixels)
            layer.merge_shadow(True)
        copy_mask(source, layer)
        layer.update(0, 0, layer.get_width(), layer.get_height())
    finally:
        image.undo_group_end()
    return layer


def new_layer(image, look, width, height, has_alpha):
    """An empty layer of the image's own kind."""
    if image.get_base_type() == Gimp.ImageBaseType.GRAY:
        kind = Gimp.ImageType.GRAYA_IMAGE if has_alpha else Gimp.ImageType.GRAY_IMAGE
    else:
        kind = Gimp.ImageType.RGBA_IMAGE if has_alpha else Gimp.ImageType.RGB_IMAGE
    mode = MODES.get(look.mode, image.get_default_new_layer_mode())
    return Gimp.Layer.new(image, look.name, width, height, kind, look.opacity, mode)


def write(buffer, rectangle, format_name, pixels):
    """Sets a region. Only `bytes` are fast here."""
    buffer.set(rectangle, format_name, bytes(pixels))
    buffer.flush()


def copy_mask(source, layer):
    """The source's layer mask, on the new layer."""
    mask = source.get_mask()
    if mask is None:
        return
    copy = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(copy)
    rectangle = Gegl.Rectangle.new(0, 0, mask.get_width(), mask.get_height())
    kind = Babl.get_name(mask.get_format())
    write(copy.get_buffer(), rectangle, kind, mask.get_buffer().get(rectangle, 1.0, kind, Gegl.AbyssPolicy.NONE))
    copy.update(0, 0, mask.get_width(), mask.get_height())
    layer.set_apply_mask(source.get_apply_mask())
    layer.set_edit_mask(False)
