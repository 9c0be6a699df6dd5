"""What was painted from this layer: small pictures in a row, and what can be done with the chosen one."""

import time

from gi.repository import GdkPixbuf, GLib, Gtk, Pango

from picture.glance import blank, pixbuf_of_file
from texts import _, ngettext
from words import recipe_name

PICTURE_PX = 72
NUMBER, PICTURE, TIP = range(3)


class HistoryView(Gtk.Box):
    """`actions` are called with a painting: `show`, `use_settings`, `insert`, `paint_on`; `folder` keeps them."""

    def __init__(self, folder, key, actions):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=4)
        self._folder = folder
        self._key = key
        self._actions = actions
        self._paintings = []
        self._rows = Gtk.ListStore(str, GdkPixbuf.Pixbuf, str)
        self._icons = Gtk.IconView(
            model=self._rows, pixbuf_column=PICTURE, markup_column=NUMBER, tooltip_column=TIP, item_padding=2,
            item_width=PICTURE_PX, columns=1000, margin=0, column_spacing=2, row_spacing=0, spacing=0,
            selection_mode=Gtk.SelectionMode.BROWSE,
        )  # fmt: skip
        self._icons.get_accessible().set_name(_("What was painted from this layer"))
        self._icons.connect("selection-changed", lambda *_a: self._selected())
        scrolled = Gtk.ScrolledWindow(vscrollbar_policy=Gtk.PolicyType.NEVER, shadow_type=Gtk.ShadowType.IN)
        scrolled.set_size_request(-1, PICTURE_PX + 40)
        scrolled.add(self._icons)
        self._nothing = Gtk.Label(label=_("What you paint from this layer is kept here."), wrap=True)
        self._nothing.get_style_context().add_class("dim-label")
        overlay = Gtk.Overlay()
        overlay.add(scrolled)
        overlay.add_overlay(self._nothing)
        overlay.set_overlay_pass_through(self._nothing, True)
        self._about = Gtk.Label(xalign=0, hexpand=True, ellipsize=Pango.EllipsizeMode.END)
        self._about.get_style_context().add_class("dim-label")
        self._buttons = [
            tool(_("Use its settings"), _("Choose style and settings as they were for this one"), "use_settings", self),
            tool(_("Paint on"), _("Go on from this painting, with the settings as they are now"), "paint_on", self),
            tool(_("Insert again"), _("Fetch it and put it into the image as a new layer"), "insert", self),
        ]
        self._star = Gtk.Button(label="☆")
        self._star.set_tooltip_text(_("Favourites are kept for good"))
        self._star.get_accessible().set_name(_("Favourite painting"))
        self._star.connect("clicked", lambda *_a: self._toggle_favourite())
        row = Gtk.Box(spacing=6)
        for widget in (*self._buttons, self._star):
            row.pack_start(widget, False, False, 0)
        # The buttons would leave it no room beside them.
        for widget in (overlay, self._about, row):
            self.pack_start(widget, False, False, 0)
        self.show_all()
        self.refresh()

    @property
    def chosen(self):
        """The chosen painting; None for none."""
        paths = self._icons.get_selected_items()
        return self._paintings[paths[0][0]] if paths else None

    def act(self, name):
        """Does something with the chosen one."""
        if self.chosen:
            self._actions[name](self.chosen)

    def refresh(self, chosen=None):
        """Reads anew what is kept; `chosen` is chosen then."""
        self._paintings = self._folder.of(self._key)
        self._rows.clear()
        for painted in self._paintings:
            picture = pixbuf_of_file(self._folder.picture_path(painted), PICTURE_PX) or blank(PICTURE_PX, PICTURE_PX)
            star = "★" if painted.is_favourite else ""
            self._rows.append([f"<small>{star}{time.strftime('%H:%M', time.localtime(painted.time))}</small>", picture,
                               GLib.markup_escape_text(about(painted))])  # fmt: skip
        self._nothing.set_visible(not self._paintings)
        numbers = [index for index, one in enumerate(self._paintings) if chosen and one.id == chosen.id]
        if numbers:
            self._icons.select_path(Gtk.TreePath.new_from_indices(numbers))
        self._selected()

    def _selected(self):
        painted = self.chosen
        for widget in (*self._buttons, self._star):
            widget.set_sensitive(painted is not None)
        count = ngettext("{count} painting of this layer", "{count} paintings of this layer", len(self._paintings))
        self._about.set_text(about(painted) if painted else count.format(count=len(self._paintings)))
        self._about.set_tooltip_text(self._about.get_text())
        self._star.set_label("★" if painted and painted.is_favourite else "☆")
        if painted:
            self._actions["show"](painted)

    def _toggle_favourite(self):
        if painted := self.chosen:
            self.refresh(self._folder.mark(painted, not painted.is_favourite))


def about(painted):
    """One line about a painting."""
    when = time.strftime("%x %H:%M", time.localtime(painted.time))
    recipe = recipe_name(painted.settings.get("recipe") or "painterly")
    name = painted.name
    if painted.settings.get("style-part"):
        name = _("{style} (a part)").format(style=name)
    return f"{name} · {recipe} · {painted.width} × {painted.height} px · {when}"


def tool(label, tip, action, view):
    """A button for the chosen painting."""
    button = Gtk.Button(label=label)
    button.set_tooltip_text(tip)
    button.connect("clicked", lambda *_a: view.act(action))
    return button
