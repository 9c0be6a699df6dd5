"""The picture as it comes up, what happens to it, how long it takes, and the two ways to end it."""

import pixels
from gi.repository import GdkPixbuf, GLib, Gtk
from style_view import pixbuf_of
from texts import _, stage_text

PREVIEW_PX = 480
"""Long side on the screen; the helper is asked for previews of this size."""


class ProgressView(Gtk.Box):
    """Before a painting it shows the layer. `cancel` and `keep` are called by the buttons."""

    def __init__(self, layer, cancel, keep):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._picture = Gtk.Image()
        self._picture.set_size_request(PREVIEW_PX, PREVIEW_PX * 3 // 4)
        frame = Gtk.Frame()
        frame.add(self._picture)
        self._stage = Gtk.Label(xalign=0, wrap=True, max_width_chars=48, selectable=True)
        self._stage.set_can_focus(False)
        self._bar = Gtk.ProgressBar()
        self.cancel = Gtk.Button(label=_("_Cancel painting"), use_underline=True)
        self.keep = Gtk.Button(label=_("_Keep this"), use_underline=True)
        self.keep.set_tooltip_text(_("Stop painting and take the picture as it is now"))
        self.cancel.connect("clicked", lambda *_a: cancel())
        self.keep.connect("clicked", lambda *_a: keep())
        self._buttons = Gtk.ButtonBox(layout_style=Gtk.ButtonBoxStyle.END, spacing=6)
        self._buttons.add(self.cancel)
        self._buttons.add(self.keep)
        self.pack_start(frame, True, True, 0)
        self.pack_start(self._bar, False, False, 0)
        self.pack_start(self._stage, False, False, 0)
        self.pack_start(self._buttons, False, False, 0)
        self.show_all()
        self._layer = layer
        self.rest()

    def rest(self, sentence=""):
        """Nothing is being painted; the sentence says why not."""
        self._bar.set_fraction(0)
        self._bar.set_opacity(0)
        self._buttons.set_opacity(0)
        self._buttons.set_sensitive(False)
        self._stage.set_text(sentence)
        self._show_layer()

    def start(self):
        """A painting begins."""
        self._bar.set_opacity(1)
        self._buttons.set_opacity(1)
        self._buttons.set_sensitive(True)
        self.keep.set_sensitive(False)
        self._stage.set_text("")

    def stop(self):
        """The painter has ended it; the picture is on its way."""
        self._buttons.set_sensitive(False)

    def tell(self, head):
        """A stage or a step."""
        self._stage.set_text(stage_text(head))
        if head["event"] == "progress":
            self._bar.set_fraction(head["step"] / head["steps"])
            self.keep.set_sensitive(True)
        else:
            self._bar.pulse()

    def show_preview(self, head, pixels):
        """The picture as it is now."""
        self._picture.set_from_pixbuf(fitted(pixbuf_of(head, pixels)))

    def _show_layer(self):
        glance = pixels.glance(self._layer, PREVIEW_PX)
        if glance is None:
            self._picture.clear()
            return
        width, height, data = glance
        pixbuf = GdkPixbuf.Pixbuf.new_from_bytes(
            GLib.Bytes.new(data), GdkPixbuf.Colorspace.RGB, True, 8, width, height, width * 4
        )
        self._picture.set_from_pixbuf(on_checks(fitted(pixbuf)))


def on_checks(pixbuf):
    """Transparency shown as GIMP shows it."""
    return pixbuf.composite_color_simple(
        pixbuf.get_width(), pixbuf.get_height(), GdkPixbuf.InterpType.NEAREST, 255, 8, 0x999999, 0x666666
    )


def fitted(pixbuf):
    """At the size of the screen's place for it."""
    zoom = min(PREVIEW_PX / pixbuf.get_width(), PREVIEW_PX * 0.75 / pixbuf.get_height())
    size = [max(1, round(side * zoom)) for side in (pixbuf.get_width(), pixbuf.get_height())]
    return pixbuf.scale_simple(*size, GdkPixbuf.InterpType.BILINEAR)
