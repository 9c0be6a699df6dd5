"""The dialog: choose, generate, watch, steer, keep. It stays open until there is a layer or the painter leaves."""

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")

import painting  # noqa: E402
import pixels  # noqa: E402
from controls import number, own, rows, slider  # noqa: E402
from gi.repository import Gdk, GimpUi, GLib, Gtk  # noqa: E402
from helper_link import HOST_CHECK_S, PROTOCOL, HelperLink  # noqa: E402
from more_view import MoreView  # noqa: E402
from procedures import LARGEST_PX  # noqa: E402
from progress_view import PREVIEW_PX, ProgressView  # noqa: E402
from rehearsal import Rehearsal  # noqa: E402
from server_view import ServerView  # noqa: E402
from style_view import THUMBNAIL_PX, StyleView  # noqa: E402
from texts import Cancelled, Refusal, _, server_sentence, told  # noqa: E402

STEER_DELAY_MS = 150
PREFERRED_PX = (1200, 740)
MARGIN_PX = 60
"""What a screen needs beside our window: its title, a panel."""
OURS_WHILE_PAINTING = ("strength", "smoothness")


def paint(procedure, config, drawables):
    """Shows the dialog until a layer is painted. Raises Cancelled or Refusal."""
    layer = pixels.chosen_layer(drawables)
    GimpUi.init("impasto")
    dialog = PaintDialog(procedure, config, layer)
    try:
        dialog.run()
    finally:
        dialog.close()


class PaintDialog:
    """The window and what it waits for: answers of the helper by the id of their question."""

    def __init__(self, procedure, config, layer):
        self._config = config
        self._layer = layer
        self._waits = {}
        self._painting = None
        self._content = None
        self._loop = None
        self._outcome = None
        self._steering = 0
        self._name = ""
        self._window = GimpUi.ProcedureDialog.new(procedure, config, _("Neural Style"))
        self._window.set_ok_label(_("_Generate"))
        self._build()
        self._rehearsal = Rehearsal(
            {
                "set": self._rehearse_setting,
                "style": self._styles.choose,
                "file": lambda path: self._styles.choose_file(path, lambda: self._rehearsal.happened("file chosen")),
                "layer": self._styles.choose_layer,
                "more": lambda _rest: self._more.set_expanded(True),
            }
        )
        self._link = HelperLink(lambda head, parts: GLib.idle_add(self._received, head, parts))
        self._ask("hello", self._greeted)
        self._host_check = GLib.timeout_add(int(HOST_CHECK_S * 1000), self._check_host)
        self._window.connect("delete-event", self._closed)
        self._window.connect("map-event", lambda *_a: self._rehearsal.happened("shown"))
        for name in OURS_WHILE_PAINTING:
            config.connect(f"notify::{name}", lambda *_a: self._slid())

    def run(self):
        """Until a layer is inserted. Raises Cancelled."""
        while True:
            if not self._window.run():
                raise Cancelled
            if self._paint():
                return

    def close(self):
        """Ends the helper and the window."""
        GLib.source_remove(self._host_check)
        self._link.close()
        self._window.destroy()

    def _build(self):
        config = self._config
        self._styles = StyleView(config, self._layer, lambda: self._window.response(Gtk.ResponseType.OK))
        self._server = ServerView(config, self._test_server)
        self._progress = ProgressView(self._layer, self._cancel, self._keep)
        self._more = MoreView(config)
        self._recipe = Gtk.ComboBoxText()
        self._recipe_note = Gtk.Label(xalign=0, wrap=True, max_width_chars=46)
        self._recipe_note.get_style_context().add_class("dim-label")
        self._recipes = {}
        size = Gtk.Box(spacing=8)
        size.add(number(config, "size", LARGEST_PX, 64, zero=own()))
        size.add(self._full_size())
        settings = rows(
            (_("Rec_ipe"), self._recipe),
            ("", self._recipe_note),
            (_("Str_ength"), slider(config, "strength")),
            (_("S_moothness"), slider(config, "smoothness")),
            (_("_Working size"), size),
        )
        self._fixed = [self._styles, self._server, self._recipe, size, self._more]
        right = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=10)
        for widget in (self._styles, settings, self._more, self._server):
            right.pack_start(widget, widget is self._styles, True, 0)
        both = Gtk.Box(spacing=18, margin=12)
        both.pack_start(self._progress, True, True, 0)
        both.pack_start(right, True, True, 0)
        both.show_all()
        # GIMP's own buttons: OK, Cancel, Reset, and those for saved settings.
        self._fixed += self._window.get_content_area().get_children()
        self._window.get_content_area().pack_start(both, True, True, 0)
        self._window.set_default_size(*room_on_screen())
        self._recipe.connect("changed", lambda *_a: self._recipe_chosen())
        config.connect("notify::recipe", lambda *_a: self._show_recipe())
        self._styles.focus()

    def _full_size(self):
        """A button for those who want every pixel painted."""
        button = Gtk.Button(label=_("_Full size"), use_underline=True)
        button.set_tooltip_text(_("Paint at the layer's own size: slow, and the finest"))
        longest = max(self._layer.get_width(), self._layer.get_height())
        button.connect("clicked", lambda *_a: self._config.set_property("size", min(longest, LARGEST_PX)))
        return button

    # What the helper says.

    def _ask(self, question, answered, parts=None, **fields):
        request_id = self._link.ask(question, parts, **fields)
        self._waits[request_id] = answered
        return request_id

    def _received(self, head, parts):
        if head["event"] == "lost":
            self._lost()
        elif head.get("id") in self._waits:
            self._waits[head["id"]](head, parts)
        return GLib.SOURCE_REMOVE

    def _lost(self):
        sentence = self._link.lost_sentence()
        self._styles.say(sentence)
        self._server.complain(sentence)
        if self._loop is not None:
            self._end(sentence)
        self._rehearsal.happened("lost")

    def _greeted(self, head, _parts):
        if head["protocol"] != PROTOCOL:
            self._progress.rest(
                _("GIMP's part of Impasto is of another version: run `impasto gimp install`, then start GIMP again.")
            )
        self._server.set_default(head.get("default_server") or "local")
        self._ask_server(self._described)

    def _ask_server(self, answered):
        self._ask("server", answered, server=self._config.get_property("server") or "")

    def _described(self, head, _parts):
        if head["event"] == "failed":
            self._styles.say(_("The gallery is the server's, and it does not answer."))
            self._server.complain(head["sentence"])
            self._rehearsal.happened("unreachable")
            return
        self._server.reached(head["address"])
        self._server.say(server_sentence(head))
        self._recipes = {recipe["name"]: recipe for recipe in head["recipes"]}
        self._recipe.remove_all()
        for name in self._recipes:
            self._recipe.append(name, name)
        self._show_recipe()
        self._more.set_weights(head.get("weights", []))
        self._styles.set_gallery(head["gallery"])
        self._rehearsal.happened("reached")
        server = self._config.get_property("server") or ""
        self._ask("thumbnails", self._thumbnail, server=server, size_px=THUMBNAIL_PX)

    def _thumbnail(self, head, parts):
        if head["event"] == "thumbnail":
            self._styles.set_picture(head, parts["pixels"])
        elif head["event"] == "end":
            self._rehearsal.happened("gallery")

    # What the painter chooses.

    def _test_server(self):
        self._server.say(_("Asking…"))
        self._ask_server(self._tested)

    def _tested(self, head, parts):
        self._described(head, parts)
        self._rehearsal.happened("tested")

    def _recipe_chosen(self):
        name = self._recipe.get_active_id()
        if name and name != self._config.get_property("recipe"):
            self._config.set_property("recipe", name)

    def _show_recipe(self):
        if self._recipes:
            name = self._config.get_property("recipe")
            name = name if name in self._recipes else next(iter(self._recipes))
            self._recipe.set_active_id(name)
            self._recipe_note.set_text(told(self._recipes[name]["summary"]))

    def _slid(self):
        """A slider moved: the running painting follows, once the hand rests for a moment."""
        if self._painting is not None and not self._steering:
            self._steering = GLib.timeout_add(STEER_DELAY_MS, self._steer)

    def _steer(self):
        self._steering = 0
        if self._painting is not None:
            values = {name: self._config.get_property(name) for name in OURS_WHILE_PAINTING}
            request_id = self._link.ask("steer", painting=self._painting, **values)
            # The answer comes under the painting's id, a refusal under this one's.
            self._waits[request_id] = lambda *_a: None
        return GLib.SOURCE_REMOVE

    # One painting.

    def _paint(self):
        """Paints; True if a layer was inserted. Otherwise the dialog says why not and can be used on."""
        if missing := self._styles.missing():
            self._progress.hint(missing)
            GLib.idle_add(self._rehearsal.happened, "rest")
            return False
        try:
            self._content = content = pixels.read_content(self._layer)
            fields, parts = painting.request(self._config, content)
        except Refusal as refusal:
            return self._rest(str(refusal))
        self._name = painting.style_name(self._config)
        self._set_painting(True)
        self._painting = self._ask("paint", self._painted, parts, preview_px=PREVIEW_PX, **fields)
        self._outcome = None
        self._loop = GLib.MainLoop()
        self._loop.run()
        self._loop = self._painting = None
        self._set_painting(False)
        if isinstance(self._outcome, str):
            return self._rest(self._outcome)
        painting.insert(self._config, content, *self._outcome, self._name)
        return True

    def _rest(self, sentence):
        """Back to the settings, with a sentence about why; False, for there is no layer."""
        self._progress.rest(sentence)
        GLib.idle_add(self._rehearsal.happened, "rest")
        return False

    def _painted(self, head, parts):
        match head["event"]:
            case "stage" | "progress":
                self._progress.tell(head)
                if "stage" in head:
                    self._rehearsal.happened(head["stage"])
                else:
                    self._rehearsal.painted(head["step"])
            case "preview":
                self._progress.show_preview(head, parts["pixels"])
                self._rehearsal.happened("preview")
            case "job":
                self._name = told(head.get("title")) or self._name
            case "notice":
                self._progress.notice(head["sentence"])
            case "steered":
                self._rehearsal.happened("steered")
            case "done":
                self._end((head, parts))
            case "failed":
                self._end(painting.failure(head))
            case "cancelled":
                self._end("")

    def _end(self, outcome):
        self._outcome = outcome
        if self._loop is not None:
            self._loop.quit()

    def _cancel(self):
        self._progress.stop()
        self._link.ask("cancel", painting=self._painting)

    def _keep(self):
        self._progress.stop()
        self._link.ask("keep", painting=self._painting)

    def _set_painting(self, painting_now):
        for widget in self._fixed:
            widget.set_sensitive(not painting_now)
        if painting_now:
            self._progress.start()

    def _closed(self, *_event):
        """The window's own close button: while painting it cancels, like Escape."""
        if self._painting is None:
            return False
        self._cancel()
        return True

    def _check_host(self):
        self._link.end_with_host()
        return GLib.SOURCE_CONTINUE

    def _rehearse_setting(self, rest):
        name, _space, value = rest.partition(" ")
        kind = type(self._config.get_property(name))
        self._config.set_property(name, kind(value) if kind in (int, float) else value)


def room_on_screen():
    """The size that a window may have: what we would like, or what there is."""
    monitor = Gdk.Display.get_default().get_monitor(0)
    area = monitor.get_workarea()
    return min(PREFERRED_PX[0], area.width - MARGIN_PX), min(PREFERRED_PX[1], area.height - MARGIN_PX)
