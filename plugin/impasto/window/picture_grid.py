"""Pictures in rows to choose one from: the styles of a gallery, the files of a folder."""

from gi.repository import GdkPixbuf, GLib, Gtk

from picture.glance import blank

THUMBNAIL_PX = 96
ROWS = 2
ROW_PX = 110
"""A picture, two lines of title, and the space around them: rows are seen whole."""
NAME, TITLE, PICTURE, TIP = range(4)
SELECTED = b"iconview:selected { background-color: #3584e4; color: white; }"
"""Some of GIMP's themes tell a selected picture by a slightly lighter gray. That is too little for a choice."""


class PictureGrid(Gtk.ScrolledWindow):
    """`chosen(name)` is called when the painter selects a picture, `go()` when they press it twice."""

    def __init__(self, name, chosen, go):
        super().__init__(
            hscrollbar_policy=Gtk.PolicyType.NEVER, min_content_height=ROWS * ROW_PX, min_content_width=420
        )
        self._chosen = chosen
        self._is_ours = False
        self._entries = Gtk.ListStore(str, str, GdkPixbuf.Pixbuf, str)
        self._icons = Gtk.IconView(
            model=self._entries,
            markup_column=TITLE,
            pixbuf_column=PICTURE,
            tooltip_column=TIP,
            # Narrower than what is in it: GTK adds to this, and titles are to be broken.
            item_width=THUMBNAIL_PX // 2,
            item_padding=4,
            column_spacing=0,
            row_spacing=0,
            margin=0,
            selection_mode=Gtk.SelectionMode.BROWSE,
            activate_on_single_click=False,
        )
        provider = Gtk.CssProvider()
        provider.load_from_data(SELECTED)
        self._icons.get_style_context().add_provider(provider, Gtk.STYLE_PROVIDER_PRIORITY_APPLICATION)
        self._icons.get_accessible().set_name(name)
        self._icons.connect("selection-changed", lambda *_a: self._changed())
        self._icons.connect("item-activated", lambda *_a: go())
        self.add(self._icons)

    def __len__(self):
        return len(self._entries)

    def set_entries(self, entries):
        """Shows (name, title, tip) in this order; their pictures come one by one."""
        self._is_ours = True
        known = {row[NAME]: row[PICTURE] for row in self._entries}
        nothing = blank(THUMBNAIL_PX, THUMBNAIL_PX * 3 // 4)
        self._entries.clear()
        for name, title, tip in entries:
            markup = f"<small>{GLib.markup_escape_text(title)}</small>"
            self._entries.append([name, markup, known.get(name, nothing), GLib.markup_escape_text(tip)])
        self._is_ours = False

    def set_picture(self, name, pixbuf):
        """The thumbnail of one."""
        for row in self._entries:
            if row[NAME] == name:
                row[PICTURE] = pixbuf

    @property
    def names(self):
        """What there is to choose."""
        return [row[NAME] for row in self._entries]

    @property
    def selected(self):
        """Name of what is chosen; None for nothing."""
        paths = self._icons.get_selected_items()
        return self._entries[paths[0]][NAME] if paths else None

    def select(self, name):
        """Chooses by name, without telling anybody; None for nothing."""
        self._is_ours = True
        self._icons.unselect_all()
        if name in self.names:
            path = Gtk.TreePath.new_from_indices([self.names.index(name)])
            self._icons.select_path(path)
            # Arrow keys go on from here.
            self._icons.set_cursor(path, None, False)
        self._is_ours = False

    def focus(self):
        """Arrow keys choose at once."""
        self._icons.grab_focus()

    def _changed(self):
        if not self._is_ours and self.selected is not None:
            self._chosen(self.selected)
