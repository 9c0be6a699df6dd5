"""Styles from the painter's own pictures: files that were used before, those of a folder, any other one."""

from pathlib import Path

from gi.repository import GLib, Gtk

from picture.glance import pixbuf_of_file
from texts import _
from window.picture_grid import THUMBNAIL_PX, PictureGrid

MOST_FILES = 200
ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif"}


class FilePage(Gtk.Box):
    """`chosen(path)` is called with what the painter chose. `choices` remembers files and folders."""

    def __init__(self, choices, chosen, go):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._choices = choices
        self._chosen = chosen
        self._loading = 0
        self._path = ""
        self._grid = PictureGrid(_("Your own style pictures"), self._choose, go)
        self._note = Gtk.Label(
            label=_("Any picture will do; paintings do best.\nDrop one here, or choose it."), wrap=True
        )
        self._note.set_justify(Gtk.Justification.CENTER)
        overlay = Gtk.Overlay()
        overlay.add(self._grid)
        overlay.add_overlay(self._note)
        overlay.set_overlay_pass_through(self._note, True)
        file_button = Gtk.Button(label=_("Choose a file…"))
        file_button.connect("clicked", lambda *_a: self._ask_for_file())
        folder_button = Gtk.Button(label=_("Add a folder…"))
        folder_button.set_tooltip_text(_("Show the pictures of a folder here, from now on"))
        folder_button.connect("clicked", lambda *_a: self._ask_for_folder())
        self._fewer = Gtk.Button(label=_("Remove folders"))
        self._fewer.connect("clicked", lambda *_a: self._remove_folders())
        buttons = Gtk.Box(spacing=6)
        for button in (file_button, folder_button, self._fewer):
            buttons.pack_start(button, False, False, 0)
        self.pack_start(overlay, True, True, 0)
        self.pack_start(buttons, False, False, 0)
        self._list_files()

    @property
    def path(self):
        """The chosen file; empty for none."""
        return self._path

    def show_path(self, path):
        """Shows which file is chosen."""
        self._path = path
        if path and path not in self._grid.names:
            self._list_files()
        self._grid.select(path or None)

    def close(self):
        """No more thumbnails."""
        if self._loading:
            GLib.source_remove(self._loading)
            self._loading = 0

    def _choose(self, path):
        self._path = path
        self._chosen(path)

    def _list_files(self):
        folders = [Path(folder) for folder in self._choices.folders]
        listed = [str(path) for folder in folders for path in pictures_in(folder)]
        chosen = [self._path] if self._path else []
        favourites = [one for one in self._choices.favourites if Path(one).is_absolute()]
        names = [*dict.fromkeys([*chosen, *favourites, *self._choices.recent_files, *listed])]
        names = [name for name in names if Path(name).is_file()][:MOST_FILES]
        self._grid.set_entries([(name, Path(name).stem, name) for name in names])
        self._grid.select(self._path or None)
        self._note.set_visible(not names)
        self._fewer.set_sensitive(bool(folders))
        self.close()
        left = iter(names)

        def load():
            name = next(left, None)
            if name is None:
                self._loading = 0
                return GLib.SOURCE_REMOVE
            if pixbuf := pixbuf_of_file(name, THUMBNAIL_PX):
                self._grid.set_picture(name, pixbuf)
            return GLib.SOURCE_CONTINUE

        # One at a time, whenever there is nothing else to do.
        self._loading = GLib.idle_add(load, priority=GLib.PRIORITY_LOW)

    def _ask_for_file(self):
        chooser = Gtk.FileChooserNative.new(
            _("A picture to take the style from"), self.get_toplevel(), Gtk.FileChooserAction.OPEN, None, None
        )
        pictures = Gtk.FileFilter()
        pictures.set_name(_("Pictures"))
        pictures.add_pixbuf_formats()
        chooser.add_filter(pictures)
        if chooser.run() == Gtk.ResponseType.ACCEPT:
            self.show_path(chooser.get_filename())
            self._chosen(self._path)
        chooser.destroy()

    def _ask_for_folder(self):
        chooser = Gtk.FileChooserNative.new(
            _("A folder with pictures"), self.get_toplevel(), Gtk.FileChooserAction.SELECT_FOLDER, None, None
        )
        if chooser.run() == Gtk.ResponseType.ACCEPT:
            self._choices.add_folder(chooser.get_filename())
            self._list_files()
        chooser.destroy()

    def _remove_folders(self):
        for folder in self._choices.folders:
            self._choices.remove_folder(folder)
        self._list_files()


def pictures_in(folder):
    """The picture files of a folder, by name; none of a folder that can't be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    except OSError:
        return []
