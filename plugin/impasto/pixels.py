"""Pixels out of a layer, and a painted layer back into the image: formats, colour spaces, alpha, selection, mask."""

from array import array
from dataclasses import dataclass

from gi.repository import Babl, Gegl, Gimp
from texts import Refusal, _

SMALLEST_PX = 4
FIRST_16_BIT_PRECISION = 200
"""GimpPrecision counts 8-bit kinds from 100; everything finer comes after."""


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
    def size(self):
        """As the helper wants to know it."""
        return {"width": self.width, "height": self.height, "channels": self.channels}

    def parts(self, name):
        """As the helper wants to get it."""
        parts = {name: self.pixels}
        if self.space.profile:
            parts[f"{name}_profile"] = self.space.profile
        return parts


def chosen_layer(drawables):
    """The one layer that is selected. Raises Refusal."""
    if len(drawables) != 1:
        raise Refusal(_("Select one layer: Impasto paints one at a time."))
    drawable = drawables[0]
    if isinstance(drawable, Gimp.LayerMask):
        drawable = Gimp.Layer.from_mask(drawable)
    if not isinstance(drawable, Gimp.Layer):
        raise Refusal(_("Select a layer: Impasto doesn't paint channels."))
    return drawable


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
    components, channels = ("R'G'B'A", 4) if layer.has_alpha() else ("R'G'B'", 3)
    rectangle = Gegl.Rectangle.new(x, y, width, height)
    pixels = layer.get_buffer().get(rectangle, 1.0, space.format(components, "u8"), Gegl.AbyssPolicy.NONE)
    return Content(
        image=image,
        layer=layer,
        x=x,
        y=y,
        width=width,
        height=height,
        is_cut=not Gimp.Selection.is_empty(image),
        channels=channels,
        depth=16 if int(image.get_precision()) >= FIRST_16_BIT_PRECISION else 8,
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


def glance(layer, longest_px):
    """Width, height and RGBA pixels of what would be painted, small, for the screen; None if that is nothing."""
    touched, x, y, width, height = layer.mask_intersect()
    if not touched or min(width, height) < 1:
        return None
    zoom = min(1.0, longest_px / max(width, height))
    # Gegl wants the rectangle in the coordinates of the scaled buffer.
    corner, size = (round(x * zoom), round(y * zoom)), (max(1, round(width * zoom)), max(1, round(height * zoom)))
    rectangle = Gegl.Rectangle.new(*corner, *size)
    return *size, layer.get_buffer().get(rectangle, zoom, "R'G'B'A u8", Gegl.AbyssPolicy.CLAMP)


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


def insert_painting(content, pixels, depth, name):
    """A new layer with the painting directly above its source, in one undo step. Returns it.

    `pixels` are RGB of the content's size. The layer is finished before the image sees it.
    """
    image, source = content.image, content.layer
    layer = new_layer(image, name, source.get_width(), source.get_height(), source.has_alpha() or content.is_cut)
    pixels = in_format(content, pixels, depth, layer.has_alpha())
    kind = "u16" if depth == 16 else "u8"
    rectangle = Gegl.Rectangle.new(content.x, content.y, content.width, content.height)
    components = "R'G'B'A" if layer.has_alpha() else "R'G'B'"
    _found, offset_x, offset_y = source.get_offsets()
    image.undo_group_start()
    try:
        if not content.is_cut:
            write(layer.get_buffer(), rectangle, content.space.format(components, kind), pixels)
        image.insert_layer(layer, source.get_parent(), image.get_item_position(source))
        layer.set_offsets(offset_x, offset_y)
        if content.is_cut:
            # The shadow is what GIMP merges through the selection, feathered or not.
            write(layer.get_shadow_buffer(), rectangle, content.space.format(components, kind), pixels)
            layer.merge_shadow(True)
        copy_mask(source, layer)
        layer.update(0, 0, layer.get_width(), layer.get_height())
    finally:
        image.undo_group_end()
    return layer


def new_layer(image, name, width, height, has_alpha):
    """An empty layer of the image's own kind."""
    if image.get_base_type() == Gimp.ImageBaseType.GRAY:
        kind = Gimp.ImageType.GRAYA_IMAGE if has_alpha else Gimp.ImageType.GRAY_IMAGE
    else:
        kind = Gimp.ImageType.RGBA_IMAGE if has_alpha else Gimp.ImageType.RGB_IMAGE
    return Gimp.Layer.new(image, name, width, height, kind, 100.0, image.get_default_new_layer_mode())


def in_format(content, pixels, depth, has_alpha):
    """The painted pixels with the source's own alpha beside them, if the new layer has one."""
    if not has_alpha:
        return pixels
    code, kind = ("H", "u16") if depth == 16 else ("B", "u8")
    rectangle = Gegl.Rectangle.new(content.x, content.y, content.width, content.height)
    if content.layer.has_alpha():
        alpha = content.layer.get_buffer().get(rectangle, 1.0, f"A {kind}", Gegl.AbyssPolicy.NONE)
    else:
        alpha = b"\xff" * (content.width * content.height * depth // 8)
    return with_alpha(pixels, alpha, code)


def with_alpha(pixels, alpha, code="B"):
    """RGB and alpha, interleaved."""
    colours = array(code, pixels)
    together = array(code, bytes(len(alpha) * 4))
    for channel in range(3):
        together[channel::4] = colours[channel::3]
    together[3::4] = array(code, alpha)
    return together.tobytes()


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
