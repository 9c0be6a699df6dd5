"""What most paintings need no word about: how it begins, how long, how boldly, and what kind of layer it becomes."""

from gi.repository import Gtk

from texts import _
from window.controls import choice, number, own, rows
from words import initial_images, layer_modes

LARGEST_STEPS = 10000
LARGEST_RATE = 10


class MoreView(Gtk.Box):
    """Writes to the procedure's configuration, and follows it."""

    def __init__(self, config):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=12, margin=6)
        self._config = config
        self._weights = choice(config, "weights", [("", own())])
        layer = rows(
            (_("_Use as"), choice(config, "layer-mode", layer_modes())),
            (_("Opacit_y"), number(config, "opacity", 100, 5)),
        )
        painting = rows(
            (_("_Begin with"), choice(config, "initial-image", initial_images())),
            (_("_Variation"), number(config, "seed", 2**31 - 1, 1)),
            (_("_Number of steps"), number(config, "steps", LARGEST_STEPS, 10, zero=own())),
            (_("Bol_dness"), number(config, "learning-rate", LARGEST_RATE, 0.05, digits=2, zero=own())),
            (_("Trained net_work"), self._weights),
        )
        for title, grid in ((_("The new layer"), layer), (_("The painting"), painting)):
            heading = Gtk.Label(xalign=0)
            heading.set_markup(f"<b>{title}</b>")
            self.pack_start(heading, False, False, 0)
            self.pack_start(grid, False, False, 0)

    def set_weights(self, weights):
        """What a server has to offer."""
        chosen = self._config.get_property("weights") or ""
        names = ["", *(entry["name"] for entry in weights)]
        self._weights.remove_all()
        for name in names if chosen in names else [*names, chosen]:
            self._weights.append(name, name or own())
        self._weights.set_active_id(chosen)
