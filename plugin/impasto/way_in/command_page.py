"""A helper that the painter has to start, because GIMP's sandbox may not: the one line to paste into a terminal."""

import contextlib

from gi.repository import Gdk, GLib, Gtk

from texts import _
from way_in.page import heading, text


class CommandPage(Gtk.Box):
    """Shows the line. `go_on(not_yet)` is called when the painter says that it was pasted; `not_yet` is what to say
    if it can't be seen.
    """

    def __init__(self, go_on):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=10)
        words = _(
            "This GIMP comes from Flatpak and may start no other programs. Open a terminal, paste this line "
            "there and press Return. On most computers, once is enough."
        )
        self._line = Gtk.Entry(editable=False, hexpand=True)
        self._line.get_accessible().set_name(_("The line to paste"))
        copy = Gtk.Button(label=_("Cop_y"), use_underline=True)
        copy.connect("clicked", lambda *_a: self._copy())
        row = Gtk.Box(spacing=6)
        row.pack_start(self._line, True, True, 0)
        row.pack_start(copy, False, False, 0)
        done = Gtk.Button(label=_("C_ontinue"), use_underline=True, halign=Gtk.Align.START)
        done.get_style_context().add_class("suggested-action")
        not_yet = _("Not there yet. Was the line pasted, and Return pressed?")
        done.connect("clicked", lambda *_a: go_on(not_yet))
        self._not_yet = text("", dim=True)
        for widget in (heading(_("One more thing")), text(words), row, done, self._not_yet):
            self.pack_start(widget, False, False, 0)

    def show_line(self, line, not_yet):
        """What to paste, and why the painter still sees it."""
        self._not_yet.set_text(not_yet)
        self._line.set_text(line)

    def _copy(self):
        clipboard = Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD)
        clipboard.set_text(self._line.get_text(), -1)
        # For afterwards: the clipboard would go with the dialog otherwise.
        with contextlib.suppress(GLib.Error):
            clipboard.store()
