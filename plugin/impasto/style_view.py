"""Where the style comes from: the server's gallery with its pictures, a file, or a layer of any open image."""

import pixels
from gi.repository import GdkPixbuf, Gimp, Gio, GLib, Gtk
from texts import _, told

THUMBNAIL_PX = 96
LOOK_PX = 160
NAME, TITLE, PICTURE, TIP = range(4)


class StyleView(Gtk.Box):
    """Three pages; the one that shows decides. Writes to the procedure's configuration, and follows it.

    `layer` is what gets painted; `go` is called by a double click on a style of the gallery.
    """

    def __init__(self, config, layer, go):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._config = config
        self._painted = layer
        self._following = False
        self._stack = Gtk.Stack()
        switcher = Gtk.StackSwitcher(stack=self._stack, halign=Gtk.Align.CENTER)
        self._gallery = Gtk.ListStore(str, str, GdkPixbuf.Pixbuf, str)
        self._icons = Gtk.IconView(
            model=self._gallery,
            markup_column=TITLE,
            pixbuf_column=PICTURE,
            tooltip_column=TIP,
            # Narrower than what is in it: GTK adds to this, and titles are to be broken.
            item_width=THUMBNAIL_PX // 2,
            item_padding=6,
            column_spacing=0,
            selection_mode=Gtk.SelectionMode.BROWSE,
            activate_on_single_click=False,
            margin=0,
        )
        mark_selection(self._icons)
        scrolled = Gtk.ScrolledWindow(
            hscrollbar_policy=Gtk.PolicyType.NEVER, min_content_height=200, min_content_width=400
        )
        scrolled.add(self._icons)
        self._note = Gtk.Label(label=_("Asking the server for its styles…"), wrap=True, max_width_chars=40)
        overlay = Gtk.Overlay()
        overlay.add(scrolled)
        overlay.add_overlay(self._note)
        overlay.set_overlay_pass_through(self._note, True)
        self._file = Gtk.FileChooserButton(title=_("A picture to take the style from"))
        picture_files = Gtk.FileFilter()
        picture_files.set_name(_("Pictures"))
        picture_files.add_pixbuf_formats()
        self._file.add_filter(picture_files)
        self._file_look = Gtk.Image()
        self._layers = Gtk.ComboBoxText()
        self._layer_look = Gtk.Image()
        self._stack.add_titled(overlay, "gallery", _("Gallery"))
        hint = _("Any picture will do; paintings do best.")
        self._stack.add_titled(page(self._file, hint, self._file_look), "file", _("File"))
        hint = _("A layer of any open image, all of it.")
        self._stack.add_titled(page(self._layers, hint, self._layer_look), "layer", _("Layer"))
        self.pack_start(switcher, False, False, 0)
        self.pack_start(self._stack, True, True, 0)
        self._list_layers()
        self.show_all()
        self.follow()
        self._icons.connect("selection-changed", lambda *_a: self._write())
        self._icons.connect("item-activated", lambda *_a: go())
        self._file.connect("file-set", lambda *_a: self._write())
        self._layers.connect("changed", lambda *_a: self._write())
        self._stack.connect("notify::visible-child-name", lambda *_a: self._write())
        for name in ("style", "style-file", "style-drawable"):
            config.connect(f"notify::{name}", lambda *_a: self.follow())

    def set_gallery(self, styles):
        """Shows the styles of a server; their pictures come one by one."""
        self._following = True
        self._gallery.clear()
        blank = GdkPixbuf.Pixbuf.new(GdkPixbuf.Colorspace.RGB, True, 8, THUMBNAIL_PX, THUMBNAIL_PX * 3 // 4)
        blank.fill(0x80808040)
        for style in styles:
            title, tip = (GLib.markup_escape_text(told(style[words])) for words in ("title", "description"))
            self._gallery.append([style["name"], f"<small>{title}</small>", blank, tip])
        self._note.hide()
        self._select()
        self._following = False

    def set_picture(self, head, data):
        """The thumbnail of one style."""
        for row in self._gallery:
            if row[NAME] == head["name"]:
                row[PICTURE] = pixbuf_of(head, data)

    def say(self, sentence):
        """Shows why there is no gallery."""
        if not len(self._gallery):
            self._note.set_text(sentence)
            self._note.show()

    def missing(self):
        """What has to be chosen first on the page that shows; empty if nothing has."""
        shown = self._stack.get_visible_child_name()
        if shown == "file" and not self._file.get_filename():
            return _("Choose a picture file to take the style from.")
        if shown == "layer" and not self._layers.get_active_id():
            return _("Choose a layer to take the style from.")
        return ""

    def focus(self):
        """Arrow keys choose a style at once."""
        self._icons.grab_focus()

    def follow(self):
        """Shows what the configuration says."""
        if self._following:
            return
        self._following = True
        file, drawable = self._config.get_property("style-file"), self._config.get_property("style-drawable")
        if drawable is not None and self._layers.set_active_id(str(drawable.get_id())):
            self._stack.set_visible_child_name("layer")
        elif file is not None:
            self._file.set_file(file)
            self._stack.set_visible_child_name("file")
        else:
            self._stack.set_visible_child_name("gallery")
        self._select()
        self._show_looks()
        self._following = False

    def choose(self, name):
        """Selects a style of the gallery by its name, as a click would."""
        for row in self._gallery:
            if row[NAME] == name:
                self._icons.select_path(row.path)

    def choose_file(self, path, chosen):
        """Chooses a file, as its dialog would; `chosen` is called then."""
        self._file.set_filename(path)

        def look():
            # The button knows of it once it has looked at the file.
            if self._file.get_filename() is None:
                return GLib.SOURCE_CONTINUE
            self._file.emit("file-set")
            chosen()
            return GLib.SOURCE_REMOVE

        GLib.timeout_add(50, look)

    def choose_layer(self, words):
        """Chooses the layer with these words in the list."""
        for row in self._layers.get_model():
            if words in row[0]:
                self._layers.set_active_iter(row.iter)

    def _select(self):
        names = [row[NAME] for row in self._gallery]
        wanted = self._config.get_property("style")
        if names:
            if wanted not in names:
                self._config.set_property("style", names[0])
            path = Gtk.TreePath.new_from_indices([names.index(wanted) if wanted in names else 0])
            self._icons.select_path(path)
            # Arrow keys go on from here.
            self._icons.set_cursor(path, None, False)

    def _write(self):
        if self._following:
            return
        self._following = True
        shown = self._stack.get_visible_child_name()
        file = self._file.get_filename() if shown == "file" else None
        self._config.set_property("style-file", Gio.File.new_for_path(file) if file else None)
        number = self._layers.get_active_id() if shown == "layer" else None
        self._config.set_property("style-drawable", Gimp.Drawable.get_by_id(int(number)) if number else None)
        selected = self._icons.get_selected_items()
        if shown == "gallery" and selected:
            name = self._gallery[selected[0]][NAME]
            if name != self._config.get_property("style"):
                self._config.set_property("style", name)
        self._show_looks()
        self._following = False

    def _show_looks(self):
        """What was chosen, to be sure that it is the right one."""
        drawable, path = self._config.get_property("style-drawable"), self._file.get_filename()
        set_look(self._layer_look, pixbuf_of_drawable(drawable) if drawable is not None else None)
        set_look(self._file_look, pixbuf_of_file(path) if path else None)

    def _list_layers(self):
        for image in Gimp.get_images():
            for layer in flat(image.get_layers()):
                self._layers.append(str(layer.get_id()), f"{image.get_name()} · {layer.get_name()}")
                if self._layers.get_active() < 0 and layer.get_id() != self._painted.get_id():
                    self._layers.set_active_id(str(layer.get_id()))


def flat(layers):
    """Layers and those in their groups."""
    for layer in layers:
        yield layer
        if layer.is_group():
            yield from flat(layer.get_children())


def mark_selection(icons):
    """Some of GIMP's themes tell a selected picture by a slightly lighter gray. That is too little for a choice."""
    provider = Gtk.CssProvider()
    provider.load_from_data(b"iconview:selected { background-color: #3584e4; color: white; }")
    icons.get_style_context().add_provider(provider, Gtk.STYLE_PROVIDER_PRIORITY_APPLICATION)


def page(widget, hint, look):
    """A page with one widget, a line about it, and what was chosen with it."""
    box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, margin=12)
    box.pack_start(widget, False, False, 0)
    box.pack_start(Gtk.Label(label=hint, xalign=0, wrap=True, max_width_chars=40), False, False, 0)
    box.pack_start(look, True, True, 0)
    return box


def set_look(image, pixbuf):
    """Shows a picture, or nothing."""
    if pixbuf is None:
        image.clear()
    else:
        image.set_from_pixbuf(pixbuf)


def pixbuf_of(head, data):
    """A picture of a frame, for the screen."""
    width, height = head["width"], head["height"]
    return GdkPixbuf.Pixbuf.new_from_bytes(
        GLib.Bytes.new(data), GdkPixbuf.Colorspace.RGB, False, 8, width, height, width * 3
    )


def pixbuf_of_file(path):
    """A picture file, small; None if it can't be shown (the helper may read it all the same)."""
    try:
        return GdkPixbuf.Pixbuf.new_from_file_at_size(path, LOOK_PX, LOOK_PX)
    except GLib.Error:
        return None


def pixbuf_of_drawable(drawable):
    """A whole layer, small."""
    return pixbuf_of_glance(*pixels.glance(drawable, (0, 0, drawable.get_width(), drawable.get_height()), LOOK_PX))


def pixbuf_of_glance(width, height, data):
    """RGBA for the screen, transparency as GIMP shows it."""
    pixbuf = GdkPixbuf.Pixbuf.new_from_bytes(
        GLib.Bytes.new(data), GdkPixbuf.Colorspace.RGB, True, 8, width, height, width * 4
    )
    return pixbuf.composite_color_simple(width, height, GdkPixbuf.InterpType.NEAREST, 255, 8, 0x999999, 0x666666)
