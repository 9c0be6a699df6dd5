"""Pictures for the screen: a layer, small; a frame of the helper; what a painting will look like in its place."""

from dataclasses import dataclass

from gi.repository import GdkPixbuf, Gegl, GLib

from picture.content import as_seen, is_there, read_selection, rectangle_of, region_of

CHECKS = (8, 0x999999, 0x666666)
"""Side in pixels, and the two grays, by which GIMP shows that nothing is there."""


@dataclass(frozen=True)
class Glance:
    """A region of a layer, small."""

    width: int
    height: int
    rgba: bytes
    covered: bytes
    """How much of each pixel a painting will cover, 0 to 255: the layer's transparency and the selection."""

    def before(self):
        """As it is."""
        return checked(self.width, self.height, self.rgba)

    def after(self, painted):
        """With a painting in its place: what is not selected, or not there, stays as it is."""
        width, height = self.width, self.height
        if min(self.covered) == 255:
            return painted
        small = painted.scale_simple(width, height, GdkPixbuf.InterpType.BILINEAR)
        # Rows of a pixbuf are padded.
        row, data = small.get_rowstride(), small.get_pixels()
        rgb = b"".join(data[y * row : y * row + width * 3] for y in range(height))
        rgba = bytearray(width * height * 4)
        for channel in range(3):
            rgba[channel::4] = rgb[channel::3]
        rgba[3::4] = self.covered
        seen = self.before()
        rgba_pixbuf(width, height, bytes(rgba)).composite(
            seen, 0, 0, width, height, 0, 0, 1, 1, GdkPixbuf.InterpType.NEAREST, 255
        )
        return seen


def glance_at(layer, longest_px):
    """What is to be painted of a layer, small, with what is selected of it; None if that is nothing."""
    region = region_of(layer)
    return glance_of_region(layer, region, longest_px) if region else None


def detail_of(layer, x, y, width, height):
    """A part of what is to be painted, in its own pixels; None if there is nothing any more."""
    region = region_of(layer) if is_there(layer) else None
    return (
        glance_of_region(layer, (region[0] + x, region[1] + y, width, height), max(width, height)) if region else None
    )


def glance_of_region(layer, region, longest_px):
    """A rectangle of a layer (x, y, width, height in its own pixels), small."""
    width, height, rgba = small_pixels(layer, region, longest_px)
    covered = rgba[3::4]
    selection = small_selection(layer, region, width, height)
    if selection is not None:
        covered = bytes(one * other // 255 for one, other in zip(covered, selection, strict=True))
    return Glance(width, height, rgba, covered)


def small_pixels(drawable, region, longest_px):
    """Width, height and RGBA pixels of a region (x, y, width, height), as the canvas shows it."""
    x, y, width, height = region
    zoom = min(1.0, longest_px / max(width, height))
    with as_seen(drawable) as (seen, shift_x, shift_y):
        # Gegl wants the rectangle in the coordinates of the scaled buffer.
        corner = round((x + shift_x) * zoom), round((y + shift_y) * zoom)
        size = max(1, round(width * zoom)), max(1, round(height * zoom))
        pixels = seen.get_buffer().get(Gegl.Rectangle.new(*corner, *size), zoom, "R'G'B'A u8", Gegl.AbyssPolicy.CLAMP)
    return *size, pixels


def small_selection(layer, region, width, height):
    """The selection's values over a region at a size, or None if nothing is selected."""
    _found, left, top = layer.get_offsets()
    x, y, full_width, _full_height = region
    image = layer.get_image()
    if read_selection(image, left + x, top + y, 1, 1) is None:
        return None
    zoom = width / full_width
    rectangle = Gegl.Rectangle.new(round((left + x) * zoom), round((top + y) * zoom), width, height)
    return image.get_selection().get_buffer().get(rectangle, zoom, "Y u8", Gegl.AbyssPolicy.CLAMP)


def pixbuf_of_drawable(drawable, longest_px, part=None):
    """A whole layer or a part of it, small."""
    region = rectangle_of(part, drawable.get_width(), drawable.get_height())
    return checked(*small_pixels(drawable, region, longest_px))


def pixbuf_of_frame(head, data):
    """A picture that the helper sent."""
    width, height = head["width"], head["height"]
    return GdkPixbuf.Pixbuf.new_from_bytes(
        GLib.Bytes.new(data), GdkPixbuf.Colorspace.RGB, False, 8, width, height, width * 3
    )


def picture_of_done(head, parts, channels):
    """What came back, for the screen; None if it came as a file."""
    if "pixels" not in parts:
        return None
    if channels == 3:
        return pixbuf_of_frame(head, parts["pixels"])
    # The canvas cuts it out as the layer and the selection were.
    rgb = bytearray(head["width"] * head["height"] * 3)
    for channel in range(3):
        rgb[channel::3] = parts["pixels"][channel::4]
    return pixbuf_of_frame(head, bytes(rgb))


def jpeg(pixbuf, longest_px):
    """A picture for the history; empty if this GdkPixbuf can't write any."""
    zoom = min(1.0, longest_px / max(pixbuf.get_width(), pixbuf.get_height()))
    size = max(1, round(pixbuf.get_width() * zoom)), max(1, round(pixbuf.get_height() * zoom))
    try:
        _done, data = pixbuf.scale_simple(*size, GdkPixbuf.InterpType.BILINEAR).save_to_bufferv(
            "jpeg", ["quality"], ["88"]
        )
    except GLib.Error:
        return b""
    return bytes(data)


def pixbuf_of_file(path, longest_px):
    """A picture file, small; None if it can't be shown (the helper may read it all the same)."""
    try:
        pixbuf = GdkPixbuf.Pixbuf.new_from_file_at_size(str(path), longest_px, longest_px)
    except GLib.Error:
        return None
    # As it is seen, and as a server paints it: cameras write down how they were held.
    return pixbuf.apply_embedded_orientation()


def enlarged(pixbuf, longest_px):
    """A small picture as large as that; a larger one as it is."""
    zoom = longest_px / max(pixbuf.get_width(), pixbuf.get_height())
    if zoom <= 1:
        return pixbuf
    size = max(1, round(pixbuf.get_width() * zoom)), max(1, round(pixbuf.get_height() * zoom))
    return pixbuf.scale_simple(*size, GdkPixbuf.InterpType.BILINEAR)


def rgba_pixbuf(width, height, data):
    """Pixels with transparency."""
    return GdkPixbuf.Pixbuf.new_from_bytes(
        GLib.Bytes.new(data), GdkPixbuf.Colorspace.RGB, True, 8, width, height, width * 4
    )


def checked(width, height, rgba):
    """RGBA for the screen, transparency as GIMP shows it."""
    pixbuf = rgba_pixbuf(width, height, rgba)
    seen = pixbuf.composite_color_simple(width, height, GdkPixbuf.InterpType.NEAREST, 255, *CHECKS)
    opaque = GdkPixbuf.Pixbuf.new(GdkPixbuf.Colorspace.RGB, False, 8, width, height)
    seen.composite(opaque, 0, 0, width, height, 0, 0, 1, 1, GdkPixbuf.InterpType.NEAREST, 255)
    return opaque


def blank(width, height, colour=0x80808040):
    """A picture of one colour (RGBA)."""
    pixbuf = GdkPixbuf.Pixbuf.new(GdkPixbuf.Colorspace.RGB, True, 8, width, height)
    pixbuf.fill(colour)
    return pixbuf
