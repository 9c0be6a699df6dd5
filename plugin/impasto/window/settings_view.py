"""Recipe, strength, smoothness and size; and the truth about the size: how much is painted, how much only enlarged."""

from gi.repository import Gtk, Pango

from painting.sizes import painted_px, painted_size, seconds_here
from texts import COMFORTABLE_ZOOM, _, size_sentence, told
from window.controls import number, own, rows, slider
from words import LARGEST_PX, recipe_title


class SettingsView(Gtk.Box):
    """Writes to the procedure's configuration, and follows it. `region` gives width and height of what is painted."""

    def __init__(self, config, region):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=4)
        self._config = config
        self._region = region
        self._recipes = {}
        self._rates = {}
        self._limit_px = LARGEST_PX
        self._recipe = Gtk.ComboBoxText()
        self._recipe.get_accessible().set_name(_("Recipe"))
        size = Gtk.Box(spacing=6)
        size.add(number(config, "size", LARGEST_PX, 64, zero=own()))
        full = Gtk.Button(label=_("_Full size"), use_underline=True)
        full.set_tooltip_text(_("Paint at the layer's own size: slow, and the finest"))
        full.connect("clicked", lambda *_a: self._choose_full_size())
        size.add(full)
        grid = rows(
            (_("Rec_ipe"), self._recipe),
            (_("Str_ength"), slider(config, "strength")),
            (_("S_moothness"), slider(config, "smoothness")),
            (_("Si_ze"), size),
        )
        self._truth = Gtk.Label(xalign=0, yalign=0, wrap=True, width_chars=40, max_width_chars=52, lines=2)
        self._truth.set_ellipsize(Pango.EllipsizeMode.END)
        self._truth.set_size_request(-1, 36)
        self.pack_start(grid, False, False, 0)
        self.pack_start(self._truth, False, False, 0)
        self._recipe.connect("changed", lambda *_a: self._recipe_chosen())
        config.connect("notify::recipe", lambda *_a: self._show_recipe())
        for name in ("size", "steps"):
            config.connect(f"notify::{name}", lambda *_a: self.tell_size())
        self.show_all()

    def set_server(self, server):
        """What a server can do."""
        self._recipes = {recipe["name"]: recipe for recipe in server["recipes"]}
        self._rates = server.get("rates") or {}
        self._limit_px = server["max_size_px"]
        self._recipe.remove_all()
        for name in self._recipes:
            self._recipe.append(name, recipe_title(name))
        self._show_recipe()

    def set_rates(self, rates):
        """How long a megapixel of each recipe took here lately, in seconds."""
        self._rates = rates
        self.tell_size()

    @property
    def size_px(self):
        """Long side that would be painted now; None as long as no server was asked."""
        recipe, region = self._chosen_recipe(), self._region()
        if recipe is None or region is None:
            return None
        return painted_px(self._config.get_property("size"), recipe, max(region), self._limit_px, self._rate(recipe))

    def tell_size(self):
        """Says what the size means."""
        long_px, region = self.size_px, self._region()
        if long_px is None:
            self._truth.set_text("")
            return
        size = painted_size(long_px, *region)
        sentence = size_sentence(size, region, seconds_here(self._rate(self._chosen_recipe()), size))
        if max(region) > COMFORTABLE_ZOOM * max(size):
            sentence += "\n" + _("It will look soft at this layer's size; choose a larger size for crisp strokes.")
        self._truth.set_text(sentence)

    def _rate(self, recipe):
        """Seconds that a megapixel takes with as many steps as are chosen; None if none was painted here."""
        rate, own_steps = self._rates.get(recipe["name"]), float(recipe["defaults"].get("steps") or 0)
        steps = self._config.get_property("steps")
        return rate * steps / own_steps if rate and steps and own_steps else rate

    def _choose_full_size(self):
        if region := self._region():
            self._config.set_property("size", min(max(region), LARGEST_PX))

    def _chosen_recipe(self):
        if not self._recipes:
            return None
        name = self._config.get_property("recipe")
        return self._recipes.get(name) or next(iter(self._recipes.values()))

    def _recipe_chosen(self):
        name = self._recipe.get_active_id()
        if name and name != self._config.get_property("recipe"):
            self._config.set_property("recipe", name)

    def _show_recipe(self):
        if recipe := self._chosen_recipe():
            self._recipe.set_active_id(recipe["name"])
            self._recipe.set_tooltip_text(told(recipe["summary"]))
            self.tell_size()
