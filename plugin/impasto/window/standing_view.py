"""How things stand with the server, in one line, with what there is to press."""

from gi.repository import Gtk

from connection.standing import Remedy
from texts import _
from window.sentence_view import SentenceView


class StandingView(Gtk.Box):
    """Follows a connection's standing. `remedies` says what each remedy's button does."""

    def __init__(self, remedies):
        super().__init__(spacing=6)
        self._remedies = remedies
        self._remedy = Remedy.NOTHING
        self._sentence = SentenceView()
        self._button = Gtk.Button(valign=Gtk.Align.START, no_show_all=True)
        self._button.connect("clicked", lambda *_a: self._remedies[self._remedy]())
        self.pack_start(self._sentence, True, True, 0)
        self.pack_start(self._button, False, False, 0)

    def show_standing(self, standing):
        """Another standing."""
        if standing.is_wrong:
            self._sentence.complain(standing.sentence, standing.details)
        else:
            self._sentence.say(standing.sentence)
        self._remedy = standing.remedy
        labels = {
            Remedy.ASK_AGAIN: _("Try again"),
            Remedy.START_AGAIN: _("Start it again"),
            Remedy.SET_UP: _("Set up…"),
        }
        self._button.set_label(labels.get(self._remedy, ""))
        self._button.set_visible(self._remedy in self._remedies)
