"""Where the style comes from: the server's gallery with its pictures, a file, or a layer of any open image."""

from gi.repository import GdkPixbuf, Gimp, Gio, GLib, Gtk
from texts import _

THUMBNAIL_PX = 96
COLUMNS = 4
NAME, TITLE, PICTURE, TIP = range(4)


class StyleView(Gtk.Box):
    """Three pages; the one that shows decides. Writes to the procedure's configuration, and follows it."""

    def __init__(self, config):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._config = config
        self._stack = Gtk.Stack()
        switcher = Gtk.StackSwitcher(stack=self._stack, halign=Gtk.Align.CENTER)
        self._gallery = Gtk.ListStore(str, str, GdkPixbuf.Pixbuf, str)
        self._icons = Gtk.IconView(
            model=self._gallery,
            text_column=TITLE,
            pixbuf_column=PICTURE,
            tooltip_column=TIP,
            columns=COLUMNS,
            item_width=THUMBNAIL_PX + 8,
            selection_mode=Gtk.SelectionMode.BROWSE,
            activate_on_single_click=False,
            margin=0,
        )
        mark_selection(self._icons)
        scrolled = Gtk.ScrolledWindow(
            hscrollbar_policy=Gtk.PolicyType.NEVER, min_content_height=250, min_content_width=540
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
        self._layers = Gtk.ComboBoxText()
        self._stack.add_titled(overlay, "gallery", _("Gallery"))
        self._stack.add_titled(page(self._file, _("Any picture will do; paintings do best.")), "file", _("File"))
        self._stack.add_titled(page(self._layers, _("A layer of any open image.")), "layer", _("Layer"))
        self.pack_start(switcher, False, False, 0)
        self.pack_start(self._stack, True, True, 0)
        self._list_layers()
        self.show_all()
        self.follow()
        self._icons.connect("selection-changed", lambda *_a: self._write())
        self._file.connect("file-set", lambda *_a: self._write())
        self._layers.connect("changed", lambda *_a: self._write())
        self._stack.connect("notify::visible-child-name", lambda *_a: self._write())
        config.connect("notify::style", lambda *_a: self._select())

    def set_gallery(self, styles):
        """Shows the styles of a server; their pictures come one by one."""
        self._gallery.clear()
        blank = GdkPixbuf.Pixbuf.new(GdkPixbuf.Colorspace.RGB, True, 8, THUMBNAIL_PX, THUMBNAIL_PX * 3 // 4)
        blank.fill(0x80808040)
        for style in styles:
            tip = GLib.markup_escape_text(style["description"])
            self._gallery.append([style["name"], style["title"], blank, tip])
        self._note.hide()
        self._select()

    def set_picture(self, head, pixels):
        """The thumbnail of one style."""
        for row in self._gallery:
            if row[NAME] == head["name"]:
                row[PICTURE] = pixbuf_of(head, pixels)

    def say(self, sentence):
        """Shows why there is no gallery."""
        if not len(self._gallery):
            self._note.set_text(sentence)
            self._note.show()

    def follow(self):
        """Shows what the configuration says."""
        file, drawable = self._config.get_property("style-file"), self._config.get_property("style-drawable")
        if drawable is not None and self._layers.set_active_id(str(drawable.get_id())):
            self._stack.set_visible_child_name("layer")
        elif file is not None:
            self._file.set_file(file)
            self._stack.set_visible_child_name("file")
        else:
            self._stack.set_visible_child_name("gallery")
        self._select()

    def choose(self, name):
        """Selects a style of the gallery by its name, as a click would."""
        for row in self._gallery:
            if row[NAME] == name:
                self._icons.select_path(row.path)

    def show_page(self, name):
        """Shows `gallery`, `file` or `layer`, as a click on its tab would."""
        self._stack.set_visible_child_name(name)

    def _select(self):
        names = [row[NAME] for row in self._gallery]
        wanted = self._config.get_property("style")
        if wanted in names:
            self._icons.select_path(Gtk.TreePath.new_from_indices([names.index(wanted)]))
        elif names:
            self._icons.select_path(Gtk.TreePath.new_first())

    def _write(self):
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

    def _list_layers(self):
        for image in Gimp.get_images():
            for layer in flat(image.get_layers()):
                self._layers.append(str(layer.get_id()), f"{image.get_name()} · {layer.get_name()}")


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


def page(widget, hint):
    """A page with one widget and a line about it."""
    box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, margin=12)
    box.pack_start(widget, False, False, 0)
    box.pack_start(Gtk.Label(label=hint, xalign=0, wrap=True, max_width_chars=40), False, False, 0)
    return box


def pixbuf_of(head, pixels):
    """A picture of a frame, for the screen."""
    width, height = head["width"], head["height"]
    return GdkPixbuf.Pixbuf.new_from_bytes(
        GLib.Bytes.new(pixels), GdkPixbuf.Colorspace.RGB, False, 8, width, height, width * 3
    )
