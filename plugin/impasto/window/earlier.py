"""What was painted from this layer before: shown again, its settings used, gone on from, inserted once more."""

import time

from gi.repository import Gtk

from history.painted import PaintedFolder
from painting.layer_key import layer_key
from picture import insertion
from picture.content import depth_of, is_there
from picture.glance import jpeg, pixbuf_of_file
from texts import _
from window.history_view import HistoryView
from window.places import painted_folder
from window.presets_view import apply_settings

KEPT_PX = 640
"""Long side of what is kept for the screen; the full picture is the server's."""


class Earlier:
    """The strip of paintings (`view`), and the one that the next goes on from, with a button that says so.

    `connection()` gives the connection, `is_painting()` tells whether the canvas is taken, `inserted()` is called
    after each new layer.
    """

    def __init__(self, config, layer, canvas, progress, *, connection, is_painting, inserted):
        self._config = config
        self._layer = layer
        self._canvas = canvas
        self._progress = progress
        self._connection = connection
        self._is_painting = is_painting
        self._inserted = inserted
        self._folder = PaintedFolder(painted_folder())
        self.goes_on_from = None
        self.view = HistoryView(
            self._folder,
            layer_key(layer),
            {"show": self._show, "use_settings": self._use_settings, "insert": self._insert, "paint_on": self.go_on},
        )
        self.continuing = Gtk.Button(no_show_all=True)
        self.continuing.set_tooltip_text(_("Press to start from the layer again"))
        self.continuing.connect("clicked", lambda *_a: self.go_on(None))

    def keep(self, painted, picture):
        """One more; `picture` is a pixbuf or None."""
        self._folder.keep(painted, jpeg(picture, KEPT_PX) if picture is not None else b"")
        self.view.refresh(painted)

    def go_on(self, painted):
        """The next painting goes on from this one; None: from the layer."""
        self.goes_on_from = painted
        if painted:
            then = time.strftime("%H:%M", time.localtime(painted.time))
            self.continuing.set_label(_("Goes on from the painting of {time}  ✕").format(time=then))
        self.continuing.set_visible(painted is not None)

    def _show(self, painted):
        if not self._is_painting() and (pixbuf := pixbuf_of_file(self._folder.picture_path(painted), KEPT_PX)):
            self._canvas.show_painted(pixbuf)

    def _use_settings(self, painted):
        sentence = _("Style and settings are those of the chosen painting.")
        if not apply_settings(self._config, painted.settings):
            sentence = _("Its settings are used, but not its style: the layer {name} isn't open.")
        self._progress.say(sentence.format(name=painted.name))

    def _insert(self, painted):
        """The full picture is the server's; it comes as Recover brings it."""
        layer = self._layer
        if not is_there(layer):
            self._progress.complain(_("The layer is gone: close this window and choose another one."))
            return
        self._progress.say(_("Fetching the picture"))
        fields = {
            "job": painted.job, "server": painted.server, "depth": depth_of(layer.get_image()),
            "fit_width": layer.get_width(), "fit_height": layer.get_height(),
        }  # fmt: skip

        def answered(head, parts):
            if head["event"] == "failed":
                self._progress.complain(head["sentence"], head.get("details", ""))
            elif is_there(layer) and insertion.is_open(layer.get_image()):
                insertion.insert_recovered(layer.get_image(), layer, head, parts, insertion.Look(painted.name))
                self._inserted()
                self._progress.say(_("{name} is a new layer.").format(name=painted.name))

        self._connection().ask("fetch", answered, **fields)
