"""Further styles that are mixed with the chosen one, each with its share."""

import json
from pathlib import Path

from gi.repository import Gtk, Pango

from painting.style import mixture_of
from texts import Refusal, _

MOST = 3
HALF = 0.5


class MixtureView(Gtk.Box):
    """Writes `mixture` to the procedure's configuration, and follows it. `title(name)` is a gallery style's."""

    def __init__(self, config, title):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=2)
        self._config = config
        self._title = title
        self._is_ours = False
        config.connect("notify::mixture", lambda *_a: self._is_ours or self.follow())
        self.follow()

    def add(self, style):
        """Mixes one more in: {"gallery": NAME}, {"file": PATH} or {"layer": KEY, "name": NAME}, a `crop` of it."""
        kept = [one for one in self._styles() if {**one, "weight": 0} != {**style, "weight": 0}]
        self._write([*kept, {"weight": HALF, **style}][-MOST:])
        self.follow()

    def follow(self):
        """Shows what the configuration says."""
        for row in self.get_children():
            row.destroy()
        for index, style in enumerate(self._styles()):
            self.pack_start(self._row(index, style), False, False, 0)
        self.show_all()

    def _row(self, index, style):
        name = self._name(style)
        label = Gtk.Label(
            label=_("with {style}").format(style=name), xalign=0, ellipsize=Pango.EllipsizeMode.END,
            width_chars=22, max_width_chars=22, tooltip_text=name,
        )  # fmt: skip
        share = Gtk.Scale.new_with_range(Gtk.Orientation.HORIZONTAL, 0.05, 2, 0.05)
        share.set_hexpand(True)
        share.set_draw_value(False)
        share.set_value(style["weight"])
        share.set_tooltip_text(_("Its share; in the middle it weighs as much as the chosen style"))
        share.get_accessible().set_name(_("Share of {style}").format(style=name))
        share.connect("value-changed", lambda scale: self._weigh(index, scale.get_value()))
        remove = Gtk.Button.new_from_icon_name("window-close-symbolic", Gtk.IconSize.BUTTON)
        remove.set_tooltip_text(_("Take this style out of the mixture"))
        remove.get_accessible().set_name(_("Take this style out of the mixture"))
        remove.connect("clicked", lambda *_a: self._remove(index))
        row = Gtk.Box(spacing=6)
        row.pack_start(label, False, False, 0)
        row.pack_start(share, True, True, 0)
        row.pack_start(remove, False, False, 0)
        return row

    def _name(self, style):
        if "gallery" in style:
            return self._title(style["gallery"])
        name = Path(style["file"]).stem if "file" in style else style.get("name") or _("Layer")
        return _("{style} (a part)").format(style=name) if "crop" in style else name

    def _styles(self):
        try:
            return mixture_of(self._config)
        except Refusal:
            # A script's mistake; Generate says so.
            return []

    def _weigh(self, index, weight):
        styles = self._styles()
        styles[index]["weight"] = round(weight, 2)
        self._write(styles)

    def _remove(self, index):
        self._write([one for position, one in enumerate(self._styles()) if position != index])
        self.follow()

    def _write(self, styles):
        self._is_ours = True
        self._config.set_property("mixture", json.dumps(styles, ensure_ascii=False) if styles else "")
        self._is_ours = False
