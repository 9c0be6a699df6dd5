"""A sentence for the painter. If it is about something that went wrong, it can be copied, to ask somebody about it."""

from gi.repository import Gdk, Gtk
from texts import _


class SentenceView(Gtk.Box):
    """A line of text and, beside a complaint, a Copy button."""

    def __init__(self):
        super().__init__(spacing=6)
        self._label = Gtk.Label(xalign=0, wrap=True, max_width_chars=46, selectable=True, hexpand=True)
        self._label.set_can_focus(False)
        self._copy = Gtk.Button(label=_("Copy"), valign=Gtk.Align.START, no_show_all=True)
        self._copy.set_tooltip_text(_("Copy this sentence"))
        self._copy.connect("clicked", lambda *_a: self._to_clipboard())
        self.pack_start(self._label, True, True, 0)
        self.pack_start(self._copy, False, False, 0)

    def say(self, sentence):
        """All is well."""
        self._label.set_text(sentence)
        self._copy.hide()

    def complain(self, sentence):
        """Something is wrong; empty if it isn't."""
        self._label.set_text(sentence)
        self._copy.set_visible(bool(sentence))

    def _to_clipboard(self):
        clipboard = Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD)
        clipboard.set_text(self._label.get_text(), -1)
        # For afterwards: the clipboard would go with the dialog otherwise.
        clipboard.store()
