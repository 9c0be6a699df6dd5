"""The dialog: choose, generate, watch, steer, keep, and again. It stays until the painter closes it."""

import time
from pathlib import Path

from gi.repository import Gdk, GimpUi, Gio, GLib, Gtk

from connection.connection import Connection
from connection.standing import Remedy, State
from history.choices import Choices
from history.painted import Painted
from painting import windowless
from painting.layer_key import layer_key
from painting.order import order
from painting.painting import Failed, Finished, Painting
from painting.sizes import painted_size
from picture import insertion
from picture.content import chosen_layers, is_there, region_of
from picture.glance import detail_of, glance_at, picture_of_done, pixbuf_of_frame
from texts import Cancelled, Refusal, _, told
from way_in.transport import is_set_up
from window.canvas import Canvas
from window.controls import column
from window.earlier import Earlier
from window.more_view import MoreView
from window.pages import PAINTING, Pages, WayInPage, titled
from window.picture_grid import THUMBNAIL_PX
from window.places import choices_path
from window.presets_view import PresetsView, apply_settings
from window.progress_view import ProgressView
from window.server_view import ServerView
from window.settings_view import SettingsView
from window.standing_view import StandingView
from window.style_view import StyleView

STEER_DELAY_MS = 150
PREFERRED_PX = (1200, 800)
MARGIN_PX = 60
"""What a screen needs beside our window: its title, a panel."""
GLANCE_PX = 1280
"""Long side of the layer and of its painting as they are shown; at 100 % the layer is read anew."""
PLUG_IN = Path(__file__).parent.parent
STEERED = ("strength", "smoothness")


def paint(procedure, config, drawables):
    """Shows the dialog until the painter closes it. Raises Cancelled if nothing was painted, or Refusal."""
    layers = chosen_layers(drawables)
    GimpUi.init("impasto")
    dialog = PaintDialog(procedure, config, layers)
    try:
        dialog.run()
    finally:
        dialog.close()


class PaintDialog:
    """The window, and the painting that is shown in it."""

    def __init__(self, procedure, config, layers):
        self._config = config
        self._layers = layers
        self._choices = Choices(choices_path())
        self._painting = None
        self._order = None
        self._waiting = []
        """Orders for the other layers, each with what the history calls its layer: later that may be gone."""
        self._key = ""
        self._began = 0.0
        self._newest = None
        """The latest preview."""
        self._steering = 0
        self._painted_count = 0
        self._is_left = False
        self._window = GimpUi.ProcedureDialog.new(procedure, config, _("Neural Style"))
        self._window.set_ok_label(_("_Generate"))
        close = self._window.get_widget_for_response(Gtk.ResponseType.CANCEL)
        close.set_use_underline(True)
        close.set_label(_("_Close"))
        self._build()
        self._connection = Connection(self._stands)
        for name in STEERED:
            config.connect(f"notify::{name}", lambda *_a: self._slid())
        self._look_at_server()
        if not is_set_up(PLUG_IN):
            self._set_up()

    def run(self):
        """Until the painter closes the window. Raises Cancelled if there is no new layer, Refusal if it went wrong."""
        while True:
            if self._window.run():
                self._generate()
            elif self._painting is None or self._is_left:
                break
            else:
                self._cancel()
        if self._painting is not None:
            self._window.hide()
            self._finish_without_window()
        if not self._painted_count:
            raise Cancelled

    def close(self):
        """Ends the helper and the window. A painting that still runs goes on at the server."""
        if self._painting is not None:
            self._painting.leave()
        if self._way_in is not None:
            self._way_in.close()
        self._choices.keep_window_size(*self._window.get_size())
        self._styles.close()
        self._window.destroy()
        # The window goes at once, whatever the helper still has to tell the server.
        Gdk.Display.get_default().flush()
        self._connection.close()

    def _build(self):
        config, layer = self._config, self._layers[0]
        self._canvas = Canvas(lambda *part: detail_of(self._shown_layer(), *part))
        self._progress = ProgressView(self._cancel, self._keep, self._leave)
        self._earlier = Earlier(
            *(config, layer, self._canvas, self._progress),
            connection=lambda: self._connection,
            is_painting=lambda: self._painting is not None,
            inserted=self._count_one,
        )
        self._styles = StyleView(
            *(config, layer, self._choices, lambda: self._window.response(Gtk.ResponseType.OK), self._progress.say)
        )
        self._settings = SettingsView(config, lambda: size_of_region(layer))
        self._presets = PresetsView(config, self._choices, self._use_preset)
        self._more = MoreView(config)
        self._server = ServerView(config, self._look_at_server, self._set_up)
        self._standing = StandingView(
            {
                Remedy.ASK_AGAIN: self._look_at_server,
                Remedy.START_AGAIN: self._start_again,
                Remedy.SET_UP: self._set_up,
            }
        )
        both = Gtk.Paned(margin=8, wide_handle=True)
        both.pack1(column(self._canvas, self._progress, self._earlier.view, first_grows=True), True, False)
        self._pages = Pages(
            column(self._styles, self._settings, self._earlier.continuing, first_grows=True),
            column(self._more, titled(_("Presets"), self._presets)),
            self._server,
            self._standing,
        )
        both.pack2(self._pages, False, False)
        both.show_all()
        self._pages.turn_to(PAINTING)
        self._views = Gtk.Stack()
        # On a small screen the rest is scrolled to; GIMP's own buttons below are always there.
        room = Gtk.ScrolledWindow(propagate_natural_width=True, propagate_natural_height=True)
        room.add(both)
        room.show()
        self._views.add_named(room, "painting")
        self._views.show()
        self._way_in = None
        self._window.get_content_area().pack_start(self._views, True, True, 0)
        self._window.set_default_size(*self._size_on_screen())
        self._window.connect("drag-data-received", self._dropped)
        self._window.drag_dest_set(Gtk.DestDefaults.ALL, [], Gdk.DragAction.COPY)
        self._window.drag_dest_add_uri_targets()
        self._show_layer(layer)
        self._styles.focus()

    def _size_on_screen(self):
        """The size that the window had, or what we would like, as far as the screen has it."""
        area = Gdk.Display.get_default().get_monitor(0).get_workarea()
        wanted = self._choices.window_size or PREFERRED_PX
        return min(wanted[0], area.width - MARGIN_PX), min(wanted[1], area.height - MARGIN_PX)

    # How things stand.

    def _look_at_server(self):
        self._connection.look_at(self._config.get_property("server") or "")

    def _set_up(self):
        self._way_in = WayInPage(PLUG_IN, self._was_set_up, self._leave_way_in)
        self._views.add_named(self._way_in, "way in")
        self._views.set_visible_child_name("way in")
        self._settle()

    def _was_set_up(self):
        self._leave_way_in()
        self._start_again()

    def _leave_way_in(self):
        page, self._way_in = self._way_in, None
        page.close()
        self._views.set_visible_child_name("painting")
        page.destroy()
        self._settle()

    def _start_again(self):
        self._connection.restart()
        self._look_at_server()

    def _stands(self):
        now = self._connection.standing
        self._standing.show_standing(now)
        self._server.set_default(self._connection.default_server)
        if now.state is State.READY:
            self._described(self._connection.server)
        elif now.is_wrong:
            self._styles.say(_("The gallery comes from the server, which can't be asked at the moment."))

    def _described(self, server):
        self._server.reached(server["address"])
        self._settings.set_server(server)
        self._more.set_weights(server.get("weights", []))
        self._styles.set_gallery(server["gallery"])
        self._connection.ask(
            "thumbnails", self._thumbnail, server=self._config.get_property("server") or "", size_px=THUMBNAIL_PX
        )

    def _thumbnail(self, head, parts):
        if head["event"] == "thumbnail":
            self._styles.set_picture(head, parts["pixels"])

    # What the painter does.

    def _generate(self):
        if self._painting is not None:
            self._progress.say(_("One painting at a time: cancel this one, or wait for it."))
            return
        if missing := self._styles.missing():
            self._progress.say(missing)
            return
        before = self._earlier.goes_on_from
        from_job, server = (before.job, before.server) if before else ("", None)
        try:
            size_px = self._settings.size_px
            orders = [
                (order(self._config, layer, server=server, continue_from=from_job, size_px=size_px), layer_key(layer))
                for layer in self._layers
            ]
        except Refusal as refusal:
            self._progress.rest()
            self._progress.complain(str(refusal))
            return
        self._styles.used()
        self._waiting = orders[1:]
        self._begin(*orders[0])

    def _begin(self, asked, key):
        self._ask_for(asked, key, preview_px=GLANCE_PX)
        if is_there(asked.content.layer):
            self._show_layer(asked.content.layer)
        self._progress.start()
        self._settle()

    def _ask_for(self, asked, key, **wishes):
        self._order, self._key, self._newest, self._began = asked, key, None, time.monotonic()
        self._painting = Painting(self._connection, "paint", {**asked.fields, **wishes}, asked.parts, self._painted)

    def _settle(self):
        """What can be pressed goes by whether there is a painting."""
        self._window.set_response_sensitive(Gtk.ResponseType.OK, self._painting is None and self._way_in is None)

    def _cancel(self):
        self._waiting = []
        if self._painting is not None:
            self._painting.cancel()

    def _keep(self):
        if self._painting is not None:
            self._painting.keep()

    def _leave(self):
        """Close and let it paint."""
        self._is_left = True
        self._window.response(Gtk.ResponseType.CANCEL)

    def _slid(self):
        """A slider moved: the running painting follows, once the hand rests for a moment."""
        if self._painting is not None and not self._steering:
            self._steering = GLib.timeout_add(STEER_DELAY_MS, self._steer)

    def _steer(self):
        self._steering = 0
        if self._painting is not None:
            self._painting.steer(**{name: self._config.get_property(name) for name in STEERED})
        return GLib.SOURCE_REMOVE

    def _dropped(self, _widget, _context, _x, _y, data, _info, _time):
        for uri in data.get_uris()[:1]:
            if path := Gio.File.new_for_uri(uri).get_path():
                self._pages.turn_to(PAINTING)
                self._styles.choose_file(path)

    # How a painting goes.

    def _painted(self, head, parts):
        painting = self._painting
        if not painting.has_ended:
            if head["event"] == "preview":
                self._newest = pixbuf_of_frame(head, parts["pixels"])
                self._canvas.show_painted(self._newest)
            self._progress.follow(painting, head)
            return
        self._painting = None
        self._settle()
        self._progress.rest()
        match painting.outcome:
            case Finished():
                self._finished(painting)
            case Failed(sentence, details):
                self._waiting = []
                self._canvas.show_painted(None)
                # What is wrong with the helper is said where it can be started again.
                if sentence != self._connection.standing.sentence:
                    self._progress.complain(sentence, details)
            case _:
                self._canvas.show_painted(None)
        if self._waiting:
            self._begin(*self._waiting.pop(0))

    def _finished(self, painting):
        asked, head, parts = self._order, painting.outcome.head, painting.outcome.parts
        look = insertion.Look(told(painting.title) or asked.look.name, asked.look.mode, asked.look.opacity)
        try:
            if insertion.is_open(asked.content.image, asked.content.display):
                insertion.insert_painting(asked.content, head, parts, look)
                sentence = _("Painted: {name} is a new layer. Change what you like and generate again.")
                if insertion.may_be_unseen(asked.content.image, asked.content.display):
                    sentence = _("Painted: {name} is a new layer; if its image was closed, Recover… has it.")
            else:
                insertion.open_in_new_image(asked.content, head, parts, look)
                sentence = _("The image is not there any more; {name} is in a new one.")
        except GLib.Error as error:
            kept = _("The layer can't be made. The picture is kept: Filters → Artistic → Neural Style: Recover…")
            self._progress.complain(kept, error.message)
            return
        self._painted_count += 1
        picture = self._newest or picture_of_done(head, parts, asked.content.channels)
        if picture is not None:
            self._canvas.show_painted(picture)
        self._remember(painting, look.name, picture)
        self._progress.say(sentence.format(name=look.name))
        # How long it took here is known now, and tells the sizes of the next one.
        self._connection.ask("server", self._learnt, server=self._config.get_property("server") or "")

    def _learnt(self, head, _parts):
        if head["event"] == "server":
            self._settings.set_rates(head.get("rates") or {})

    def _remember(self, painting, name, picture):
        content, settings, head = self._order.content, self._order.settings, painting.outcome.head
        long_px = painting.size_px or max(content.width, content.height)
        width, height = painted_size(long_px, content.width, content.height)
        kept = Painted(
            of=self._key,
            name=name,
            settings=settings,
            server=painting.server,
            job=painting.job,
            width=width,
            height=height,
            seconds=time.monotonic() - self._began,
            is_partial=bool(head.get("partial")),
        )
        self._earlier.keep(kept, picture)

    def _count_one(self):
        self._painted_count += 1

    def _finish_without_window(self):
        """The painter has closed the window and lets it paint; GIMP's status bar says how it goes."""
        while self._painting is not None:
            painting, asked = self._painting, self._order
            windowless.watch_to_the_end(painting)
            self._painting = None
            finished = windowless.picture_of(painting)
            name = told(painting.title) or asked.look.name
            windowless.insert(asked, finished, name)
            windowless.announce(asked, name)
            self._painted_count += 1
            self._remember(painting, name, self._newest)
            if self._waiting:
                self._ask_for(*self._waiting.pop(0))

    def _use_preset(self, settings):
        if not apply_settings(self._config, settings):
            self._progress.say(_("The preset's style is a layer that isn't open: choose another style."))

    # What is seen.

    def _shown_layer(self):
        return self._order.content.layer if self._order else self._layers[0]

    def _show_layer(self, layer):
        region = region_of(layer)
        name = layer.get_image().get_name()
        caption = _("{layer} of {image}").format(layer=layer.get_name(), image=name)
        if region:
            caption += f" · {region[2]} × {region[3]} px"
        if len(self._layers) > 1:
            caption += " · " + _("{count} layers, one after the other").format(count=len(self._layers))
        self._canvas.set_caption(caption)
        self._canvas.set_glance(glance_at(layer, GLANCE_PX), region[2:] if region else (1, 1))
        self._settings.tell_size()


def size_of_region(layer):
    """Width and height of what is painted; None if that is nothing, or the layer is gone."""
    region = region_of(layer) if is_there(layer) else None
    return region[2:] if region else None
