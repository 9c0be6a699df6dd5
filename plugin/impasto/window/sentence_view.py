"""A sentence for the painter, in room that is always there. What went wrong can be copied, and read in full."""

from gi.repository import Gdk, Gtk, Pango

from texts import _

LINES = 2


class SentenceView(Gtk.Box):
    """Two lines of text; beside a complaint *Copy*, and *Details…* if more was said than fits a sentence."""

    def __init__(self, lines=LINES):
        super().__init__(spacing=6)
        self._label = Gtk.Label(xalign=0, yalign=0, wrap=True, width_chars=20, max_width_chars=46, selectable=True)
        self._label.set_hexpand(True)
        self._label.set_can_focus(False)
        self._label.set_lines(lines)
        self._label.set_ellipsize(Pango.EllipsizeMode.END)
        _minimum, height = self._label.create_pango_layout("X").get_pixel_size()
        self.set_size_request(-1, height * lines + 4)
        self._copy = Gtk.Button(label=_("Copy"), valign=Gtk.Align.START, no_show_all=True)
        self._copy.set_tooltip_text(_("Copy this sentence"))
        self._copy.connect("clicked", lambda *_a: to_clipboard(self._all()))
        self._more = Gtk.Button(label=_("Details…"), valign=Gtk.Align.START, no_show_all=True)
        self._more.connect("clicked", lambda *_a: show_details(self.get_toplevel(), self._all()))
        self._sentence, self._details = "", ""
        for widget, grows in ((self._label, True), (self._more, False), (self._copy, False)):
            self.pack_start(widget, grows, grows, 0)

    def say(self, sentence):
        """All is well."""
        self._show(sentence, "", is_wrong=False)

    def complain(self, sentence, details=""):
        """Something is wrong; empty if it isn't."""
        self._show(sentence, details, is_wrong=bool(sentence))

    def _show(self, sentence, details, *, is_wrong):
        self._sentence, self._details = sentence, details.strip()
        self._label.set_text(sentence)
        self._label.set_tooltip_text(sentence)
        self._copy.set_visible(is_wrong)
        self._more.set_visible(is_wrong and bool(self._details))

    def _all(self):
        return f"{self._sentence}\n\n{self._details}" if self._details else self._sentence


def show_details(above, text):
    """All that was said, in a window of its own."""
    dialog = Gtk.Dialog(title=_("Details"), transient_for=above, modal=True, destroy_with_parent=True)
    dialog.set_default_size(560, 320)
    view = Gtk.TextView(editable=False, monospace=True, wrap_mode=Gtk.WrapMode.WORD_CHAR, margin=8)
    view.get_buffer().set_text(text)
    scrolled = Gtk.ScrolledWindow()
    scrolled.add(view)
    dialog.get_content_area().pack_start(scrolled, True, True, 0)
    dialog.add_button(_("Copy all"), Gtk.ResponseType.APPLY)
    dialog.add_button(_("Close details"), Gtk.ResponseType.CLOSE)

    def answered(_dialog, response):
        if response == Gtk.ResponseType.APPLY:
            to_clipboard(text)
        else:
            dialog.destroy()

    dialog.connect("response", answered)
    dialog.show_all()


def to_clipboard(text):
    """For afterwards, too: the clipboard would go with the dialog otherwise."""
    clipboard = Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD)
    clipboard.set_text(text, -1)
    clipboard.store()
