"""What there is to set, a page for each kind: nothing moves when more is wanted."""

from gi.repository import Gtk

from texts import _
from way_in.view import WayInView
from window.controls import column

PAINTING = "painting"


class Pages(Gtk.Box):
    """Style, more and server, with one line below them that is always there."""

    def __init__(self, painting, more, server, below):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=8)
        self._stack = Gtk.Stack(homogeneous=True)
        for widget, name, title in (
            (painting, PAINTING, _("Style")),
            (more, "more", _("More")),
            (server, "server", _("Server")),
        ):
            self._stack.add_titled(widget, name, title)
        switcher = Gtk.StackSwitcher(stack=self._stack, halign=Gtk.Align.FILL, homogeneous=True)
        for widget in (switcher, self._stack, below):
            self.pack_start(widget, widget is self._stack, True, 0)

    def turn_to(self, name):
        """Shows a page."""
        self._stack.set_visible_child_name(name)


class WayInPage(Gtk.Box):
    """How Impasto gets onto this computer, in place of everything else. `ready` is called when it is there."""

    def __init__(self, plug_in, ready, back):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=8, margin=18)
        self._view = WayInView(plug_in, ready)
        button = Gtk.Button(label=_("Back to the painting"), halign=Gtk.Align.START)
        button.connect("clicked", lambda *_a: back())
        self.pack_start(self._view, True, True, 0)
        self.pack_start(button, False, False, 0)
        self.show_all()

    def close(self):
        """Ends what is being installed."""
        self._view.close()


def titled(title, *widgets):
    """Widgets under a heading of their own."""
    heading = Gtk.Label(xalign=0, margin_start=6, use_markup=True, label=f"<b>{title}</b>")
    return column(heading, *widgets)
