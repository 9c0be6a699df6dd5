"""Where the style comes from: the server's gallery, the painter's own pictures, a layer; and what is mixed with it."""

from gi.repository import Gio, Gtk

from painting.layer_key import layer_key
from painting.style import chosen_part, text_of_part
from painting.style_layer import is_missing, set_style_layer, style_layer
from picture.content import selected_part
from picture.glance import enlarged, pixbuf_of_drawable, pixbuf_of_file, pixbuf_of_frame
from texts import Refusal, _, told
from window.file_page import FilePage
from window.layer_page import LayerPage
from window.mixture_view import MixtureView
from window.part_dialog import PartDialog
from window.picture_grid import PictureGrid

STAR, NO_STAR = "★ ", ""
ENLARGED_PX = 520
"""Long side of a picture that a part is chosen of; small screens have room for it."""


class StyleView(Gtk.Box):
    """Three pages; the one that shows decides. Writes to the procedure's configuration, and follows it.

    `layer` is what gets painted; `go` is called by a double click on a style, `complain` with what doesn't go.
    """

    def __init__(self, config, layer, choices, go, complain):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._config = config
        self._complain = complain
        self._choices = choices
        self._is_closed = False
        self._following = False
        self._styles = []
        self._stack = Gtk.Stack()
        switcher = Gtk.StackSwitcher(stack=self._stack, halign=Gtk.Align.CENTER)
        self._gallery = PictureGrid(_("Styles of the gallery"), lambda _name: self._write(), go)
        self._note = Gtk.Label(label=_("Asking the server for its styles…"), wrap=True, max_width_chars=40)
        overlay = Gtk.Overlay()
        overlay.add(self._gallery)
        overlay.add_overlay(self._note)
        overlay.set_overlay_pass_through(self._note, True)
        self._file = FilePage(choices, lambda _path: self._write(), go)
        self._layer = LayerPage(layer, lambda _layer: self._write())
        for widget, name, title in (
            (overlay, "gallery", _("Gallery")),
            (self._file, "file", _("Your pictures")),
            (self._layer, "layer", _("Layer")),
        ):
            self._stack.add_titled(widget, name, title)
        self._favourite = Gtk.Button(label="★")
        self._favourite.get_accessible().set_name(_("Favourite style"))
        self._favourite.set_tooltip_text(_("Favourite styles come first"))
        self._favourite.connect("clicked", lambda *_a: self._toggle_favourite())
        self._mix = Gtk.Button(label=_("Mix in"))
        self._mix.set_tooltip_text(_("Mix this style with the one that you choose next"))
        self._mix.connect("clicked", lambda *_a: self._mix_in())
        tools = Gtk.Box(spacing=6)
        tools.pack_start(switcher, True, True, 0)
        self._part = Gtk.Button(label=_("Part…"))
        self._part.connect("clicked", lambda *_a: self._choose_part())
        tools.pack_end(self._mix, False, False, 0)
        tools.pack_end(self._part, False, False, 0)
        tools.pack_end(self._favourite, False, False, 0)
        self._mixture = MixtureView(config, self._title_of)
        self.pack_start(tools, False, False, 0)
        self.pack_start(self._stack, True, True, 0)
        self.pack_start(self._mixture, False, False, 0)
        self.show_all()
        self.follow()
        self._stack.connect("notify::visible-child-name", lambda *_a: self._write())
        for name in ("style", "style-file", "style-layer", "style-part"):
            config.connect(f"notify::{name}", lambda *_a: self.follow())

    def close(self):
        """Nothing is chosen from here on: while GTK takes the pages apart it shows one after the other."""
        self._is_closed = True
        self._file.close()

    def set_gallery(self, styles):
        """Shows the styles of a server; their pictures come one by one."""
        self._styles = styles
        self._show_gallery()
        self._note.hide()

    def set_picture(self, head, data):
        """The thumbnail of one style."""
        self._gallery.set_picture(head["name"], pixbuf_of_frame(head, data))

    def say(self, sentence):
        """Shows why there is no gallery."""
        if not len(self._gallery):
            self._note.set_text(sentence)
            self._note.show()

    def missing(self):
        """What has to be chosen first on the page that shows; empty if nothing has."""
        shown = self._stack.get_visible_child_name()
        if shown == "file" and not self._file.path:
            return _("Choose a picture file to take the style from.")
        if shown == "layer" and self._layer.layer is None:
            return _("Choose a layer to take the style from.")
        return ""

    def used(self):
        """A painting begins with what is chosen."""
        if self._stack.get_visible_child_name() == "file" and self._file.path:
            self._choices.used_file(self._file.path)

    def focus(self):
        """Arrow keys choose a style at once."""
        self._gallery.focus()

    def choose_file(self, path):
        """Takes a file, wherever it came from."""
        self._following = True
        self._stack.set_visible_child_name("file")
        self._following = False
        self._file.show_path(path)
        self._write()

    def choose_layer(self, words):
        """Takes the layer with these words in the list."""
        self._layer.choose(words)

    def follow(self):
        """Shows what the configuration says."""
        if self._following or self._is_closed:
            return
        self._following = True
        if is_missing(self._config):
            set_style_layer(self._config, None)
            self._complain(_("The style was a layer that isn't open any more: choose another style."))
        file, drawable = self._config.get_property("style-file"), style_layer(self._config)
        if drawable is not None and self._layer.show_layer(drawable):
            self._stack.set_visible_child_name("layer")
        elif file is not None:
            self._file.show_path(file.get_path() or "")
            self._stack.set_visible_child_name("file")
        else:
            self._stack.set_visible_child_name("gallery")
        self._select()
        self._show_part()
        self._following = False

    def _show_gallery(self):
        favourites = self._choices.favourites
        first = [style for name in favourites for style in self._styles if style["name"] == name]
        rest = [style for style in self._styles if style["name"] not in favourites]
        entries = []
        for style in [*first, *rest]:
            star = STAR if style["name"] in favourites else NO_STAR
            entries.append((style["name"], star + told(style["title"]), told(style["description"])))
        self._gallery.set_entries(entries)
        self._select()

    def _select(self):
        wanted, names = self._config.get_property("style"), self._gallery.names
        if names and wanted not in names:
            self._config.set_property("style", self._styles[0]["name"])
            wanted = self._config.get_property("style")
        self._gallery.select(wanted)

    def _write(self):
        if self._following or self._is_closed:
            return
        self._following = True
        shown = self._stack.get_visible_child_name()
        before = self._own_picture()
        file = self._file.path if shown == "file" else ""
        self._config.set_property("style-file", Gio.File.new_for_path(file) if file else None)
        set_style_layer(self._config, self._layer.layer if shown == "layer" else None)
        name = self._gallery.selected
        if shown == "gallery" and name and name != self._config.get_property("style"):
            self._config.set_property("style", name)
        if before != self._own_picture():
            self._config.set_property("style-part", "")
        self._show_part()
        self._following = False

    def _own_picture(self):
        """The file or layer that the configuration says."""
        file = self._config.get_property("style-file")
        return file.get_path() if file is not None else "", self._config.get_property("style-layer")

    def _part_of_it(self):
        try:
            return chosen_part(self._config)
        except Refusal:
            # A script's mistake; Generate says so.
            return None

    def _show_part(self):
        """How much of the picture is taken, and what can be done with what shows."""
        part, shown = self._part_of_it(), self._stack.get_visible_child_name()
        self._layer.show_part(part if shown == "layer" else None)
        self._favourite.set_sensitive(shown != "layer")
        self._part.set_sensitive(shown != "gallery")
        self._part.set_label(_("Part ✓") if part and shown != "gallery" else _("Part…"))
        tip = _("Take the style from a part of your picture or layer only")
        if part and shown != "gallery":
            size = {"width": round(100 * part[2]), "height": round(100 * part[3])}
            tip = _("A part is taken: {width} by {height} percent of the picture").format(**size)
        self._part.set_tooltip_text(tip)

    def _choose_part(self):
        shown, selected = self._stack.get_visible_child_name(), None
        if shown == "layer" and (layer := self._layer.layer):
            pixbuf, selected = pixbuf_of_drawable(layer, ENLARGED_PX), selected_part(layer)
        else:
            pixbuf = pixbuf_of_file(self._file.path, ENLARGED_PX) if self._file.path else None
        if pixbuf is None:
            self._complain(self.missing() or _("This picture can't be shown here; all of it is taken."))
            return
        PartDialog(self.get_toplevel(), enlarged(pixbuf, ENLARGED_PX), self._part_of_it(), selected, self._take_part)

    def _take_part(self, part):
        self._config.set_property("style-part", text_of_part(part))

    def _chosen(self):
        """The style that shows, as a mixture names it; None for none."""
        shown, part = self._stack.get_visible_child_name(), self._part_of_it()
        if shown == "gallery" and self._gallery.selected:
            return {"gallery": self._gallery.selected}
        crop = {"crop": part} if part else {}
        if shown == "file" and self._file.path:
            return {"file": self._file.path, **crop}
        if shown == "layer" and (layer := self._layer.layer):
            return {"layer": layer_key(layer), "name": layer.get_name(), **crop}
        return None

    def _mix_in(self):
        if chosen := self._chosen():
            self._mixture.add(chosen)

    def _toggle_favourite(self):
        if chosen := self._chosen():
            self._choices.toggle_favourite(chosen.get("gallery") or chosen["file"])
            self._show_gallery()

    def _title_of(self, name):
        return next((told(style["title"]) for style in self._styles if style["name"] == name), name)
