"""The picture as it comes up, what happens to it, how long it takes, and the two ways to end it."""

import pixels
from gi.repository import GdkPixbuf, GLib, Gtk
from sentence_view import SentenceView
from style_view import pixbuf_of, pixbuf_of_glance
from texts import _, stage_text

PREVIEW_PX = 640
"""Long side of what the helper is asked for; shown at the size of the window's place for it."""
SMALLEST_PX = 300


class ProgressView(Gtk.Box):
    """Before a painting it shows the layer. `cancel` and `keep` are called by the buttons."""

    def __init__(self, layer, cancel, keep):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._picture = PictureView()
        self._bar = Gtk.ProgressBar()
        self._stage = SentenceView()
        self._notice = Gtk.Label(xalign=0, wrap=True, max_width_chars=46)
        self._notice.get_style_context().add_class("dim-label")
        self.cancel = Gtk.Button(label=_("Cancel _painting"), use_underline=True)
        self.keep = Gtk.Button(label=_("_Keep this"), use_underline=True)
        self.keep.set_tooltip_text(_("Stop painting and take the picture as it is now"))
        self.cancel.connect("clicked", lambda *_a: cancel())
        self.keep.connect("clicked", lambda *_a: keep())
        self._buttons = Gtk.ButtonBox(layout_style=Gtk.ButtonBoxStyle.END, spacing=6)
        self._buttons.add(self.cancel)
        self._buttons.add(self.keep)
        self.pack_start(self._picture, True, True, 0)
        for widget in (self._bar, self._stage, self._notice, self._buttons):
            self.pack_start(widget, False, False, 0)
        self.show_all()
        self._layer = layer
        self.rest()

    def rest(self, sentence=""):
        """Nothing is being painted; the sentence says why not."""
        self._bar.set_fraction(0)
        self._bar.set_opacity(0)
        self._buttons.set_opacity(0)
        self._buttons.set_sensitive(False)
        self._stage.complain(sentence)
        self._notice.set_text("")
        self._show_layer()

    def hint(self, sentence):
        """What is to be done before there is something to paint."""
        self._stage.say(sentence)

    def start(self):
        """A painting begins."""
        self._bar.set_opacity(1)
        self._buttons.set_opacity(1)
        self._buttons.set_sensitive(True)
        self.keep.set_sensitive(False)
        self._stage.say("")

    def stop(self):
        """The painter has ended it; the picture is on its way."""
        self._buttons.set_sensitive(False)

    def tell(self, head):
        """A stage or a step."""
        self._stage.say(stage_text(head))
        if head["event"] == "progress":
            self._bar.set_fraction(head["step"] / head["steps"])
            self.keep.set_sensitive(True)
        else:
            self._bar.pulse()

    def notice(self, sentence):
        """It goes on otherwise than expected."""
        self._notice.set_text(sentence)

    def show_preview(self, head, data):
        """The picture as it is now."""
        self._picture.show_picture(pixbuf_of(head, data))

    def _show_layer(self):
        touched, *region = self._layer.mask_intersect()
        seen = touched and min(region[2:]) > 0
        self._picture.show_picture(pixbuf_of_glance(*pixels.glance(self._layer, region, PREVIEW_PX)) if seen else None)


class PictureView(Gtk.ScrolledWindow):
    """A picture as large as there is room for it."""

    def __init__(self):
        # Not for scrolling: it is the one container that is content with less room than its picture.
        super().__init__(
            hscrollbar_policy=Gtk.PolicyType.EXTERNAL,
            vscrollbar_policy=Gtk.PolicyType.EXTERNAL,
            min_content_width=SMALLEST_PX,
            min_content_height=SMALLEST_PX * 3 // 4,
            shadow_type=Gtk.ShadowType.IN,
        )
        self._pixbuf = None
        self._room = (SMALLEST_PX, SMALLEST_PX * 3 // 4)
        self._image = Gtk.Image()
        self.add(self._image)
        self.connect("size-allocate", lambda _widget, room: self._allocated(room))

    def show_picture(self, pixbuf):
        """Another picture; None for nothing."""
        self._pixbuf = pixbuf
        self._draw()

    def _allocated(self, room):
        # The frame takes some of it.
        room = (max(1, room.width - 4), max(1, room.height - 4))
        if room != self._room:
            self._room = room
            # Not within the allocation, which would begin anew.
            GLib.idle_add(self._draw)

    def _draw(self):
        if self._pixbuf is None:
            self._image.clear()
        else:
            width, height = self._pixbuf.get_width(), self._pixbuf.get_height()
            zoom = min(self._room[0] / width, self._room[1] / height)
            size = max(1, round(width * zoom)), max(1, round(height * zoom))
            self._image.set_from_pixbuf(self._pixbuf.scale_simple(*size, GdkPixbuf.InterpType.BILINEAR))
        return GLib.SOURCE_REMOVE
