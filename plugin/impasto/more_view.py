"""What most paintings need no word about: how it begins, how long, how boldly, and what kind of layer it becomes."""

import procedures
from controls import choice, number, own, rows
from gi.repository import Gtk
from texts import _

LARGEST_STEPS = 10000
LARGEST_RATE = 10


class MoreView(Gtk.Expander):
    """Writes to the procedure's configuration, and follows it."""

    def __init__(self, config):
        super().__init__(label=_("M_ore"), use_underline=True)
        self._config = config
        self._weights = choice(config, "weights", [("", own())])
        grid = rows(
            (_("_Begin with"), choice(config, "initial-image", procedures.initial_images())),
            (_("_Number of steps"), number(config, "steps", LARGEST_STEPS, 10, zero=own())),
            (_("Step si_ze"), number(config, "learning-rate", LARGEST_RATE, 0.05, digits=2, zero=own())),
            (_("See_d"), number(config, "seed", 2**31 - 1, 1)),
            (_("_VGG weights"), self._weights),
            (_("_Use as"), choice(config, "layer-mode", procedures.layer_modes())),
            (_("Opacit_y"), number(config, "opacity", 100, 5)),
            side_by_side=2,
        )
        grid.set_margin_top(6)
        self.add(grid)

    def set_weights(self, weights):
        """What a server has to offer."""
        chosen = self._config.get_property("weights") or ""
        names = ["", *(entry["name"] for entry in weights)]
        self._weights.remove_all()
        for name in names if chosen in names else [*names, chosen]:
            self._weights.append(name, name or own())
        self._weights.set_active_id(chosen)
