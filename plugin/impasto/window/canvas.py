"""The picture in the dialog: the layer, the painting in its place, a divider between them, fit or at 100 %."""

import gi
from gi.repository import Gdk, GdkPixbuf, GLib, Gtk

from texts import _

SMALLEST_PX = 300
GRIP_PX = 14
"""So near to the divider it is meant by a press."""
LINE_PX = 2
FRAME_PX = 4
"""What the frame takes of the room."""


class Canvas(Gtk.Box):
    """Shows a glance at the layer, and what has been painted of it.

    `detail(x, y, width, height)` gives a glance at a part of the region in its own pixels, for 100 %.
    """

    def __init__(self, detail):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=4)
        self._detail = detail
        self._details = (None, None)
        self._glance = None
        self._full_size = (1, 1)
        self._painted = None
        self._split = 0.5
        self._centre = (0.5, 0.5)
        self._room = (SMALLEST_PX, SMALLEST_PX * 3 // 4)
        self._dragged = None
        self._shown = (1, 1)
        """Size of what is shown, in the screen's own pixels."""
        self._image = Gtk.Image()
        # Not for scrolling: it is the one container that is content with less room than its picture.
        self._frame = Gtk.ScrolledWindow(
            hscrollbar_policy=Gtk.PolicyType.EXTERNAL,
            vscrollbar_policy=Gtk.PolicyType.EXTERNAL,
            min_content_width=SMALLEST_PX,
            min_content_height=SMALLEST_PX * 3 // 4,
            shadow_type=Gtk.ShadowType.IN,
        )
        self._area = Gtk.EventBox()
        self._area.get_accessible().set_name(_("The layer and its painting"))
        self._area.add(self._image)
        self._frame.add(self._area)
        self.compare = Gtk.ToggleButton(label=_("Before | after"))
        self.compare.set_tooltip_text(_("Show the layer beside the painting; drag the line between them"))
        self.whole = Gtk.ToggleButton(label=_("100 %"))
        self.whole.set_tooltip_text(_("One pixel of the layer on one pixel of the screen; drag to move"))
        self._caption = Gtk.Label(xalign=0, hexpand=True, ellipsize=3)
        self._caption.get_style_context().add_class("dim-label")
        tools = Gtk.Box(spacing=6)
        tools.pack_start(self._caption, True, True, 0)
        tools.pack_start(self.compare, False, False, 0)
        tools.pack_start(self.whole, False, False, 0)
        self.pack_start(tools, False, False, 0)
        self.pack_start(self._frame, True, True, 0)
        for button in (self.compare, self.whole):
            button.connect("toggled", lambda *_a: self._draw())
        self._area.add_events(Gdk.EventMask.BUTTON_PRESS_MASK | Gdk.EventMask.BUTTON1_MOTION_MASK)
        self._area.connect("button-press-event", self._pressed)
        self._area.connect("motion-notify-event", self._moved)
        self._frame.connect("size-allocate", lambda _widget, room: self._allocated(room))
        self._frame.connect("notify::scale-factor", lambda *_a: self._allocated(self._frame.get_allocation()))
        self.show_all()

    def set_caption(self, text):
        """What is painted here."""
        self._caption.set_text(text)
        self._caption.set_tooltip_text(text)

    def set_glance(self, glance, full_size):
        """The layer as it is; `full_size` is the region's own, in pixels. None: there is nothing to see."""
        self._glance, self._full_size = glance, full_size
        self._details = (None, None)
        self._painted = None
        self._draw()

    def show_painted(self, pixbuf):
        """The painting as it is now; None for none."""
        self._painted = pixbuf
        self._draw()

    def set_split(self, split):
        """Moves the divider, 0 to 1."""
        self._split = min(1.0, max(0.0, split))
        self._draw()

    def _allocated(self, room):
        scale = self._scale()
        room = (max(1, room.width - FRAME_PX) * scale, max(1, room.height - FRAME_PX) * scale)
        if room != self._room:
            self._room = room
            # Not within the allocation, which would begin anew.
            GLib.idle_add(self._draw)

    def _pressed(self, _area, event):
        if event.type == Gdk.EventType._2BUTTON_PRESS:
            self.whole.set_active(not self.whole.get_active())
            return True
        x, y = self._on_picture(event)
        width = self._shown[0]
        near = abs(x - self._split * width) < GRIP_PX * self._scale()
        if self._shows_both() and (near or not self.whole.get_active()):
            self._dragged = "line"
            self.set_split(x / width)
        else:
            self._dragged = (x, y, self._centre)
        return True

    def _moved(self, _area, event):
        x, y = self._on_picture(event)
        if self._dragged == "line":
            self.set_split(x / self._shown[0])
        elif self._dragged and self.whole.get_active():
            from_x, from_y, centre = self._dragged
            self._centre = (
                min(1.0, max(0.0, centre[0] - (x - from_x) / self._full_size[0])),
                min(1.0, max(0.0, centre[1] - (y - from_y) / self._full_size[1])),
            )
            self._draw()
        return True

    def _on_picture(self, event):
        """Where an event happened, in pixels of what is shown: that is in the middle of its room."""
        width, height = self._shown
        room, scale = self._area.get_allocation(), self._scale()
        return event.x * scale - (room.width * scale - width) / 2, event.y * scale - (room.height * scale - height) / 2

    def _scale(self):
        """Pixels of the screen for each that GTK speaks of: 2 on a fine screen, if this Python can draw on one."""
        return self._frame.get_scale_factor() if CAN_DRAW_FINE else 1

    def _shows_both(self):
        return self.compare.get_active() and self._painted is not None

    def _draw(self):
        if self._glance is None:
            self._image.clear()
            return GLib.SOURCE_REMOVE
        before, after = self._whole_pixels() if self.whole.get_active() else self._fitted()
        shown = before if after is None else after
        if self._shows_both():
            shown = side_by_side(before, after, self._split, LINE_PX * self._scale())
        self._shown = shown.get_width(), shown.get_height()
        scale = self._scale()
        if scale > 1:
            self._image.set_from_surface(Gdk.cairo_surface_create_from_pixbuf(shown, scale, None))
        else:
            self._image.set_from_pixbuf(shown)
        return GLib.SOURCE_REMOVE

    def _fitted(self):
        """Layer and painting as large as there is room for them."""
        width, height = self._full_size
        zoom = min(self._room[0] / width, self._room[1] / height)
        size = max(1, round(width * zoom)), max(1, round(height * zoom))
        pixbufs = self._glance.before(), self._glance.after(self._painted) if self._painted else None
        return [one and one.scale_simple(*size, GdkPixbuf.InterpType.BILINEAR) for one in pixbufs]

    def _whole_pixels(self):
        """The part of layer and painting that there is room for, in the layer's own pixels."""
        width, height = self._full_size
        here = min(self._room[0], width), min(self._room[1], height)
        x = min(max(0, round(self._centre[0] * width - here[0] / 2)), width - here[0])
        y = min(max(0, round(self._centre[1] * height - here[1] / 2)), height - here[1])
        if self._details[0] != (x, y, *here):
            self._details = (x, y, *here), self._detail(x, y, *here)
        glance = self._details[1]
        if glance is None:
            return self._fitted()
        if self._painted is None:
            return glance.before(), None
        zoom = width / self._painted.get_width(), height / self._painted.get_height()
        part = GdkPixbuf.Pixbuf.new(GdkPixbuf.Colorspace.RGB, False, 8, *here)
        self._painted.scale(part, 0, 0, *here, -x, -y, *zoom, GdkPixbuf.InterpType.BILINEAR)
        return glance.before(), glance.after(part)


def side_by_side(before, after, split, line_px):
    """One picture of two of the same size: the first up to a line, the second from there."""
    width, height = after.get_width(), after.get_height()
    both = after.copy()
    line = min(width - line_px, max(0, round(split * width)))
    if line > 0:
        before.copy_area(0, 0, line, height, both, 0, 0)
    if width > line_px:
        both.new_subpixbuf(line, 0, line_px, height).fill(0xFFFFFFFF)
    return both


def can_draw_fine():
    """Whether this Python has what GTK needs to show a picture in pixels of a fine screen (pycairo); GIMP's may not."""
    try:
        gi.require_foreign("cairo")
    except ImportError:
        return False
    return True


CAN_DRAW_FINE = can_draw_fine()
