"""Settings under names that the painter gave them."""

from gi.repository import Gio, Gtk

from painting.layer_key import layer_called
from painting.order import settings_of
from painting.style_layer import set_style_layer
from texts import _


class PresetsView(Gtk.Box):
    """A name to choose or to write, and what to do with it. `use(settings)` is called with the chosen one's."""

    def __init__(self, config, choices, use):
        super().__init__(spacing=6, margin=6)
        self._config = config
        self._use = use
        self._choices = choices
        self._names = Gtk.ComboBoxText.new_with_entry()
        self._names.get_child().set_placeholder_text(_("Name of a preset"))
        self._names.get_child().get_accessible().set_name(_("Name of a preset"))
        self._save = Gtk.Button(label=_("Keep"))
        self._save.set_tooltip_text(_("Keep the present settings under this name"))
        self._save.connect("clicked", lambda *_a: self._keep())
        self._forget = Gtk.Button(label=_("Forget"))
        self._forget.connect("clicked", lambda *_a: self._forget_it())
        self.pack_start(self._names, True, True, 0)
        self.pack_start(self._save, False, False, 0)
        self.pack_start(self._forget, False, False, 0)
        self._names.connect("changed", lambda *_a: self._changed())
        self._list()

    def _list(self):
        self._names.remove_all()
        for name in self._choices.presets:
            self._names.append_text(name)
        self._changed()

    def _changed(self):
        name = self._names.get_active_text() or ""
        self._save.set_sensitive(bool(name.strip()))
        self._forget.set_sensitive(name in self._choices.presets)
        # Chosen from the list, not written.
        if self._names.get_active() >= 0 and name in self._choices.presets:
            self._use(self._choices.presets[name])

    def _keep(self):
        name = self._names.get_active_text().strip()
        self._choices.keep_preset(name, settings_of(self._config))
        self._list()
        self._names.get_child().set_text(name)

    def _forget_it(self):
        self._choices.forget_preset(self._names.get_active_text())
        self._list()
        self._names.get_child().set_text("")


def apply_settings(config, settings):
    """Sets what a preset or an earlier painting says, as far as this version knows it.

    False if its style was a layer that isn't open any more: then the style is the gallery's.
    """
    known = settings_of(config)
    # Of another picture otherwise.
    config.set_property("style-part", "")
    for name, value in settings.items():
        if name == "style-file":
            config.set_property(name, Gio.File.new_for_path(value) if value else None)
        elif name != "style-layer" and name in known and isinstance(value, type(known[name])):
            config.set_property(name, value)
    key = settings.get("style-layer")
    layer = layer_called(key)
    set_style_layer(config, layer)
    return layer is not None or not key
