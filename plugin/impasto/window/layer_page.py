"""A style from a layer of any open image."""

from gi.repository import Gimp, Gtk

from picture.content import flat
from picture.glance import enlarged, pixbuf_of_drawable
from texts import _

LOOK_PX = 200
ID = 1
"""Column of a ComboBoxText's model that has the rows' names."""


class LayerPage(Gtk.Box):
    """`chosen(layer)` is called with what the painter chose; `painted` is the layer that is painted."""

    def __init__(self, painted, chosen):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6, margin=12)
        self._painted = painted
        self._chosen = chosen
        self._is_ours = False
        self._part = None
        self._layers = Gtk.ComboBoxText()
        self._layers.get_accessible().set_name(_("The layer to take the style from"))
        self._look = Gtk.Image()
        hint = Gtk.Label(label=_("A layer of any open image, all of it or a part."), xalign=0, wrap=True)
        hint.set_max_width_chars(40)
        self.pack_start(self._layers, False, False, 0)
        self.pack_start(hint, False, False, 0)
        self.pack_start(self._look, True, True, 0)
        self._list_layers()
        self._layers.connect("changed", lambda *_a: self._changed())
        # Images may be opened, and layers made, while the dialog is there.
        self.connect("map", lambda *_a: self._look_again())

    @property
    def layer(self):
        """The chosen layer; None for none, and for one that is gone."""
        number = self._layers.get_active_id()
        return Gimp.Drawable.get_by_id(int(number)) if number and Gimp.Item.id_is_valid(int(number)) else None

    def show_layer(self, layer):
        """Shows which layer is chosen; False if it isn't in the list."""
        number = str(layer.get_id())
        if number not in {row[ID] for row in self._layers.get_model()}:
            # Its image may have been opened since.
            self._list_layers()
        self._is_ours = True
        found = self._layers.set_active_id(number)
        self._is_ours = False
        self._show_look()
        return found

    def show_part(self, part):
        """Shows which part of it is chosen; None for all."""
        self._part = part
        self._show_look()

    def choose(self, words):
        """Chooses the layer with these words in the list."""
        for row in self._layers.get_model():
            if words in row[0]:
                self._layers.set_active_iter(row.iter)

    def _changed(self):
        if not self._is_ours:
            # It was another picture's.
            self._part = None
        self._show_look()
        if not self._is_ours:
            self._chosen(self.layer)

    def _show_look(self):
        if layer := self.layer:
            self._look.set_from_pixbuf(enlarged(pixbuf_of_drawable(layer, LOOK_PX, self._part), LOOK_PX))
        else:
            self._look.clear()

    def _look_again(self):
        before = self._layers.get_active_id()
        self._list_layers()
        if before != self._layers.get_active_id():
            self._chosen(self.layer)

    def _list_layers(self):
        self._is_ours = True
        chosen = self._layers.get_active_id()
        self._layers.remove_all()
        numbers = []
        for image in Gimp.get_images():
            for layer in flat(image.get_layers()):
                numbers.append(str(layer.get_id()))
                self._layers.append(numbers[-1], f"{image.get_name()} · {layer.get_name()}")
        others = [number for number in numbers if number != str(self._painted.get_id())]
        self._layers.set_active_id(chosen if chosen in numbers else next(iter(others), None))
        self._is_ours = False
        self._show_look()
