"""How a painting goes: what happens, how long it takes, and the three ways to end it."""

from gi.repository import Gtk, Pango

from texts import _, stage_text
from window.sentence_view import SentenceView

BAR_STYLE = b"""
progressbar trough { min-height: 10px; border-radius: 5px; }
progressbar progress { min-height: 10px; border-radius: 5px; background-color: #3584e4; background-image: none; }
"""
"""Hardly seen in GIMP's dark theme otherwise."""


class ProgressView(Gtk.Box):
    """`cancel`, `keep` and `leave` are called by the buttons."""

    def __init__(self, cancel, keep, leave):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=4)
        self._bar = Gtk.ProgressBar()
        provider = Gtk.CssProvider()
        provider.load_from_data(BAR_STYLE)
        self._bar.get_style_context().add_provider(provider, Gtk.STYLE_PROVIDER_PRIORITY_APPLICATION)
        self._bar.get_accessible().set_name(_("How far the painting is"))
        self._sentence = SentenceView()
        self._notice = Gtk.Label(xalign=0, ellipsize=Pango.EllipsizeMode.END)
        self._notice.get_style_context().add_class("dim-label")
        cancel_button = button(_("Cancel _painting"), _("Forget this painting and go back to the settings"), cancel)
        self._keep = button(_("_Keep this"), _("Stop painting and take the picture as it is now"), keep)
        self._leave = button(
            _("Close, let it paint"), _("Close this window; the layer arrives when the painting is done"), leave
        )
        # Not a ButtonBox: the longest label would make all of them as wide.
        self._buttons = Gtk.Box(spacing=6)
        for widget in (self._keep, cancel_button, self._leave):
            self._buttons.pack_end(widget, False, False, 0)
        for widget in (self._bar, self._sentence, self._notice, self._buttons):
            self.pack_start(widget, False, False, 0)
        self.show_all()
        self.rest()

    def rest(self):
        """Nothing is being painted."""
        self._bar.set_fraction(0)
        self._bar.set_opacity(0)
        self._buttons.set_opacity(0)
        self._buttons.set_sensitive(False)
        self._notice.set_text("")
        self._sentence.say("")

    def say(self, sentence):
        """What is well, or to be done next."""
        self._sentence.say(sentence)

    def complain(self, sentence, details=""):
        """What went wrong."""
        self._sentence.complain(sentence, details)

    def start(self):
        """A painting begins."""
        self._bar.set_opacity(1)
        self._bar.set_fraction(0)
        self._buttons.set_opacity(1)
        self._buttons.set_sensitive(True)
        self._keep.set_sensitive(False)
        self._leave.set_sensitive(True)
        self._sentence.say("")
        self._notice.set_text("")

    def follow(self, painting, head):
        """A stage, a step or a notice of a painting."""
        self._keep.set_sensitive(painting.can_be_kept)
        match head["event"]:
            case "progress":
                self._bar.set_fraction(head["step"] / head["steps"])
                self._sentence.say(stage_text(head))
            case "stage":
                self._bar.pulse()
                self._sentence.say(stage_text(head))
            case "notice":
                self._notice.set_text(head["sentence"])
                self._notice.set_tooltip_text(head["sentence"])


def button(label, tip, clicked):
    """A button with a mnemonic."""
    made = Gtk.Button(label=label, use_underline=True)
    made.set_tooltip_text(tip)
    made.connect("clicked", lambda *_a: clicked())
    return made
