"""What is painted, frozen at one moment: pixels, what is selected of them, place, names. Nothing is read later."""

import contextlib
from dataclasses import dataclass

from gi.repository import Babl, Gegl, Gimp

from picture.colour import Space, space_of
from texts import Refusal, _

SMALLEST_PX = 4
FIRST_16_BIT_PRECISION = 200
"""GimpPrecision counts 8-bit kinds from 100; everything finer comes after."""


@dataclass(frozen=True)
class Mask:
    """How much of each pixel counts, in a babl format of one component."""

    format_name: str
    data: bytes


@dataclass(frozen=True)
class LayerMask:
    """The mask that the layer had, with what GIMP does with it."""

    mask: Mask
    width: int
    height: int
    is_applied: bool


@dataclass(frozen=True)
class Content:
    """What is to be painted, and where it was."""

    image: object
    layer: object
    mark: bytes
    """Of the layer: see mark_of."""
    display: object
    """Where the painter called from; None for a script without a window."""
    image_size: tuple
    offsets: tuple
    """The layer's corner in the image."""
    layer_size: tuple
    x: int
    """Corner of the painted region in the layer; the region is all of it, or the selection's bounds."""
    y: int
    width: int
    height: int
    selection: object
    """Mask of the region; None if nothing is selected."""
    layer_mask: object
    """LayerMask or None."""
    has_alpha: bool
    """Of the layer itself."""
    depth: int
    """Bits a channel that the painting is to have."""
    space: Space
    pixels: bytes
    alpha: bytes
    """Transparency in 16 bits a pixel, for paintings of that depth; else empty: `pixels` has all there is."""

    @property
    def channels(self):
        """With alpha where the new layer will have it: what comes back has what was sent."""
        return 4 if self.has_alpha or self.selection else 3

    @property
    def components(self):
        """What a pixel is made of, in babl's words."""
        return "R'G'B'A" if self.channels == 4 else "R'G'B'"

    @property
    def place(self):
        """Where it is in the image, for whoever brings the picture back later."""
        return {"place": [self.offsets[0] + self.x, self.offsets[1] + self.y], "image": list(self.image_size)}

    @property
    def size(self):
        """As the helper wants to know it."""
        return {"width": self.width, "height": self.height, "channels": self.channels}

    def parts(self):
        """As the helper wants to get it."""
        profile = {"content_profile": self.space.profile} if self.space.profile else {}
        return {"content": self.pixels, **profile}


def mark_of(layer):
    """What a layer's paintings carry: its number in the image, which a saved image keeps."""
    return str(layer.get_tattoo()).encode()


def chosen_layers(drawables):
    """The layers that are selected. Raises Refusal."""
    if not drawables:
        raise Refusal(_("Select a layer to paint."))
    return [layer_of(drawable) for drawable in drawables]


def layer_of(drawable):
    """The layer that a drawable is, or whose mask it is. Raises Refusal."""
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


def check_still_there(layer):
    """Raises Refusal if a layer was deleted, or its image closed."""
    if not is_there(layer):
        raise Refusal(_("The layer is gone: close this window and choose another one."))


def is_there(layer):
    """True for a layer that is in an open image. One that was deleted is valid as long as that can be undone."""
    if not Gimp.Item.id_is_valid(layer.get_id()):
        return False
    image = layer.get_image()
    return image is not None and layer.get_id() in {one.get_id() for one in flat(image.get_layers())}


def flat(layers):
    """Layers and those in their groups."""
    for layer in layers:
        yield layer
        if layer.is_group():
            yield from flat(layer.get_children())


def depth_of(image):
    """Bits a channel that a painting has in this image: 8 or 16."""
    return 16 if int(image.get_precision()) >= FIRST_16_BIT_PRECISION else 8


def region_of(layer):
    """Corner and size of what is painted of a layer: all of it, or the bounds of what is selected; None for nothing."""
    touched, *region = layer.mask_intersect()
    return tuple(region) if touched and min(region[2:]) > 0 else None


def freeze(layer):
    """The content that a layer is now. Raises Refusal."""
    check_still_there(layer)
    region = region_of(layer)
    if region is None:
        raise Refusal(_("The selection misses the layer: there is nothing to paint."))
    x, y, width, height = region
    if min(width, height) < SMALLEST_PX:
        raise Refusal(
            _("{width} × {height} pixels are too few to paint: {smallest} on each side are needed.").format(
                width=width, height=height, smallest=SMALLEST_PX
            )
        )
    image = layer.get_image()
    _found, *offsets = layer.get_offsets()
    selection = read_selection(image, offsets[0] + x, offsets[1] + y, width, height)
    has_alpha, depth, space = layer.has_alpha(), depth_of(image), space_of(image)
    components = "R'G'B'A" if has_alpha or selection else "R'G'B'"
    with as_seen(layer) as (drawable, shift_x, shift_y):
        rectangle = Gegl.Rectangle.new(x + shift_x, y + shift_y, width, height)
        buffer = drawable.get_buffer()
        pixels = buffer.get(rectangle, 1.0, space.format(components, "u8"), Gegl.AbyssPolicy.NONE)
        deep = has_alpha and depth == 16
        alpha = buffer.get(rectangle, 1.0, "A u16", Gegl.AbyssPolicy.NONE) if deep else b""
    return Content(
        image=image,
        layer=layer,
        mark=mark_of(layer),
        display=Gimp.default_display(),
        image_size=(image.get_width(), image.get_height()),
        offsets=tuple(offsets),
        layer_size=(layer.get_width(), layer.get_height()),
        x=x,
        y=y,
        width=width,
        height=height,
        selection=selection,
        layer_mask=read_layer_mask(layer),
        has_alpha=has_alpha,
        depth=depth,
        space=space,
        pixels=pixels,
        alpha=alpha,
    )


def read_selection(image, x, y, width, height):
    """What is selected of a rectangle of the image; None if nothing is selected anywhere."""
    if Gimp.Selection.is_empty(image):
        return None
    return read_mask(image.get_selection(), Gegl.Rectangle.new(x, y, width, height))


def read_layer_mask(layer):
    """The mask of a layer; None without one."""
    mask = layer.get_mask()
    if mask is None:
        return None
    width, height = mask.get_width(), mask.get_height()
    frozen = read_mask(mask, Gegl.Rectangle.new(0, 0, width, height))
    return LayerMask(frozen, width, height, layer.get_apply_mask())


def read_mask(channel, rectangle):
    """A part of a channel, in its own format."""
    kind = Babl.get_name(channel.get_format())
    return Mask(kind, channel.get_buffer().get(rectangle, 1.0, kind, Gegl.AbyssPolicy.NONE))


@contextlib.contextmanager
def as_seen(drawable):
    """A drawable as the canvas shows it: filters on it are merged, in a copy that nobody sees.

    Gives the drawable to read, and how far its pixels are shifted in there.
    """
    filters = drawable.get_filters()
    if not any(one.get_visible() for one in filters):
        yield drawable, 0, 0
        return
    image = drawable.get_image()
    beside = Gimp.Image.new_with_precision(
        image.get_width(), image.get_height(), image.get_base_type(), image.get_precision()
    )
    try:
        beside.undo_disable()
        if profile := image.get_color_profile():
            beside.set_color_profile(profile)
        copy = Gimp.Layer.new_from_drawable(drawable, beside)
        beside.insert_layer(copy, None, 0)
        for one in copy.get_filters():
            if not one.get_visible():
                one.delete()
        copy.merge_filters()
        # A shadow, for one, makes a layer grow to the left.
        _found, *now = copy.get_offsets()
        _found, *before = drawable.get_offsets()
        yield copy, before[0] - now[0], before[1] - now[1]
    finally:
        beside.delete()


def read_style(drawable, name, part=None):
    """Size and pixels of a layer as a style, of all of it or of a part, whatever is selected. Raises Refusal."""
    if not Gimp.Item.id_is_valid(drawable.get_id()):
        raise Refusal(_("The style's layer is gone: choose another style."))
    x, y, width, height = rectangle_of(part, drawable.get_width(), drawable.get_height())
    space = space_of(drawable.get_image())
    with as_seen(drawable) as (seen, shift_x, shift_y):
        rectangle = Gegl.Rectangle.new(x + shift_x, y + shift_y, width, height)
        pixels = seen.get_buffer().get(rectangle, 1.0, space.format("R'G'B'A", "u8"), Gegl.AbyssPolicy.NONE)
    parts = {name: pixels}
    if space.profile:
        parts[f"{name}_profile"] = space.profile
    return {"width": width, "height": height, "channels": 4}, parts


def rectangle_of(part, width, height):
    """A part (x, y, width and height, 0 to 1; None for all) of a picture, in its pixels: one at least."""
    if part is None:
        return 0, 0, width, height
    left, top = min(int(part[0] * width), width - 1), min(int(part[1] * height), height - 1)
    right, bottom = round((part[0] + part[2]) * width), round((part[1] + part[3]) * height)
    return left, top, max(1, min(right, width) - left), max(1, min(bottom, height) - top)


def selected_part(drawable):
    """What is selected of a layer, as a part of it; None if that is all, or nothing."""
    width, height = drawable.get_width(), drawable.get_height()
    region = region_of(drawable)
    if region in (None, (0, 0, width, height)):
        return None
    x, y, wide, high = region
    return [x / width, y / height, wide / width, high / height]
