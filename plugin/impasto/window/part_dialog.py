"""A part of a style picture: a rectangle that is dragged on an enlarged view of it."""

from gi.repository import Gdk, GdkPixbuf, Gtk

from texts import _

LINE_PX = 2
SMALLEST_PX = 8
"""A drag that is shorter was a press: it takes all of the picture."""
SMALLEST = 0.05
STEP = 0.02
DIM = 90
"""How much, of 255, is left of what is not taken."""
ALL = (0.0, 0.0, 1.0, 1.0)
ARROWS = {Gdk.KEY_Left: (-1, 0), Gdk.KEY_Right: (1, 0), Gdk.KEY_Up: (0, -1), Gdk.KEY_Down: (0, 1)}


class PartView(Gtk.EventBox):
    """Shows a picture and which part of it (x, y, width, height, 0 to 1) is taken. Arrow keys move it, with Shift they
    make it larger and smaller.
    """

    def __init__(self, pixbuf, part):
        super().__init__(halign=Gtk.Align.CENTER, can_focus=True)
        self._picture = opaque(pixbuf)
        self._dimmed = dimmed(self._picture)
        self._size = pixbuf.get_width(), pixbuf.get_height()
        self._image = Gtk.Image()
        self._from = None
        self.part = ALL
        self.add(self._image)
        self.add_events(
            Gdk.EventMask.BUTTON_PRESS_MASK | Gdk.EventMask.BUTTON_RELEASE_MASK | Gdk.EventMask.BUTTON1_MOTION_MASK
        )
        self.connect("button-press-event", lambda _view, event: self._pressed(event))
        self.connect("motion-notify-event", lambda _view, event: self._dragged(event))
        self.connect("key-press-event", lambda _view, event: self._key(event))
        self.get_accessible().set_name(_("The style picture"))
        self.get_accessible().set_description(_("Arrow keys move the part, with Shift they change its size"))
        self.take(part)

    def take(self, part):
        """Takes this part; None for all."""
        self.part = tuple(part or ALL)
        width, height = self._size
        left, top = round(self.part[0] * width), round(self.part[1] * height)
        right, bottom = round((self.part[0] + self.part[2]) * width), round((self.part[1] + self.part[3]) * height)
        shown = self._dimmed.copy()
        if right > left and bottom > top:
            self._picture.copy_area(left, top, right - left, bottom - top, shown, left, top)
        if self.part != ALL:
            outline(shown, left, top, right, bottom)
        self._image.set_from_pixbuf(shown)

    def _pressed(self, event):
        self.grab_focus()
        self._from = event.x, event.y
        self.take(None)
        return True

    def _dragged(self, event):
        if self._from is None:
            return False
        (width, height), (from_x, from_y) = self._size, self._from
        to_x, to_y = min(max(event.x, 0), width), min(max(event.y, 0), height)
        if max(abs(to_x - from_x), abs(to_y - from_y)) < SMALLEST_PX:
            self.take(None)
            return True
        self.take(
            inside(
                min(from_x, to_x) / width, min(from_y, to_y) / height,
                abs(to_x - from_x) / width, abs(to_y - from_y) / height,
            )
        )  # fmt: skip
        return True

    def _key(self, event):
        if event.keyval not in ARROWS:
            return False
        right, down = ARROWS[event.keyval]
        x, y, width, height = self.part
        if event.state & Gdk.ModifierType.SHIFT_MASK:
            self.take(inside(x, y, width + STEP * right, height + STEP * down))
        else:
            self.take(inside(x + STEP * right, y + STEP * down, width, height))
        return True


class PartDialog(Gtk.Dialog):
    """`taken(part)` is called with what the painter chose; None for all. `selected` is a ready choice, or None."""

    def __init__(self, above, pixbuf, part, selected, taken):
        super().__init__(
            title=_("A part of the style"), transient_for=above, modal=True, destroy_with_parent=True, resizable=False
        )
        self.view = PartView(pixbuf, part)
        self._taken = taken
        hint = Gtk.Label(label=_("Drag over the part that the style is to be taken from."), wrap=True, xalign=0)
        ready = Gtk.Box(spacing=6)
        whole = Gtk.Button(label=_("All of it"))
        whole.connect("clicked", lambda *_a: self.view.take(None))
        ready.pack_start(whole, False, False, 0)
        if selected:
            there = Gtk.Button(label=_("What is selected there"))
            there.connect("clicked", lambda *_a: self.view.take(selected))
            ready.pack_start(there, False, False, 0)
        box = self.get_content_area()
        box.set_spacing(8)
        box.set_border_width(8)
        for widget in (hint, self.view, ready):
            box.pack_start(widget, False, False, 0)
        self.add_button(_("Leave it as it was"), Gtk.ResponseType.CANCEL)
        self.add_button(_("Use this part"), Gtk.ResponseType.OK)
        self.set_default_response(Gtk.ResponseType.OK)
        self.connect("response", lambda _dialog, response: self._answered(response))
        self.show_all()
        self.view.grab_focus()

    def _answered(self, response):
        if response == Gtk.ResponseType.OK:
            self._taken(None if self.view.part == ALL else list(self.view.part))
        self.destroy()


def inside(x, y, width, height):
    """A part within the picture that is not too small."""
    width, height = min(max(width, SMALLEST), 1.0), min(max(height, SMALLEST), 1.0)
    return min(max(x, 0.0), 1 - width), min(max(y, 0.0), 1 - height), width, height


def opaque(pixbuf):
    """A picture without transparency, which a screen doesn't have."""
    if not pixbuf.get_has_alpha():
        return pixbuf
    width, height = pixbuf.get_width(), pixbuf.get_height()
    flat = GdkPixbuf.Pixbuf.new(GdkPixbuf.Colorspace.RGB, False, 8, width, height)
    flat.fill(0xFFFFFFFF)
    pixbuf.composite(flat, 0, 0, width, height, 0, 0, 1, 1, GdkPixbuf.InterpType.NEAREST, 255)
    return flat


def dimmed(pixbuf):
    """A picture in the dark."""
    width, height = pixbuf.get_width(), pixbuf.get_height()
    dark = GdkPixbuf.Pixbuf.new(GdkPixbuf.Colorspace.RGB, False, 8, width, height)
    dark.fill(0x000000FF)
    pixbuf.composite(dark, 0, 0, width, height, 0, 0, 1, 1, GdkPixbuf.InterpType.NEAREST, DIM)
    return dark


def outline(pixbuf, left, top, right, bottom):
    """A white line around a rectangle, as far as the picture goes."""
    width, height = right - left, bottom - top
    if min(width, height) <= LINE_PX:
        return
    for x, y, wide, high in (
        (left, top, width, LINE_PX),
        (left, bottom - LINE_PX, width, LINE_PX),
        (left, top, LINE_PX, height),
        (right - LINE_PX, top, LINE_PX, height),
    ):
        pixbuf.new_subpixbuf(x, y, wide, high).fill(0xFFFFFFFF)
