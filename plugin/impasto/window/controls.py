"""Sliders, numbers and choices that follow a procedure's configuration, and are followed by it."""

from gi.repository import GObject, Gtk

from texts import _

BOTH_WAYS = GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE


def slider(config, name):
    """A plain slider from 0 to 100."""
    scale = Gtk.Scale.new_with_range(Gtk.Orientation.HORIZONTAL, 0, 100, 1)
    scale.set_hexpand(True)
    scale.set_value_pos(Gtk.PositionType.RIGHT)
    describe(scale, config, name)
    scale.add_mark(50, Gtk.PositionType.BOTTOM, None)
    config.bind_property(name, scale.get_adjustment(), "value", BOTH_WAYS)
    return scale


def number(config, name, largest, step, digits=0, zero=""):
    """A number from 0; `zero` is shown in place of 0."""
    button = Gtk.SpinButton.new_with_range(0, largest, step)
    button.set_digits(digits)
    describe(button, config, name)
    button.set_halign(Gtk.Align.START)
    button.set_width_chars(max(8, len(zero)))
    if zero:
        # It takes digits only otherwise.
        button.set_numeric(False)
        button.connect("output", show_zero, zero)
        button.update()
    config.bind_property(name, button.get_adjustment(), "value", BOTH_WAYS)
    return button


def show_zero(button, zero):
    """True if the word stands there now; GTK writes the number otherwise."""
    if button.get_value():
        return False
    button.set_text(zero)
    return True


def choice(config, name, choices):
    """One of some words; `choices` are (value, label)."""
    combo = Gtk.ComboBoxText(halign=Gtk.Align.START)
    describe(combo, config, name)
    for value, label in choices:
        combo.append(value, label)
    config.bind_property(name, combo, "active-id", BOTH_WAYS)
    return combo


def describe(widget, config, name):
    """What a property is for, for those who point at it and for those who can't see it."""
    found = config.find_property(name)
    widget.set_tooltip_text(found.get_blurb())
    widget.get_accessible().set_name(found.get_nick().replace("_", ""))
    widget.get_accessible().set_description(found.get_blurb())


def rows(*labels_and_widgets, side_by_side=1):
    """A grid of (label with mnemonic, widget)."""
    grid = Gtk.Grid(row_spacing=6, column_spacing=12)
    for index, (label, widget) in enumerate(labels_and_widgets):
        row, column = divmod(index, side_by_side)
        label = Gtk.Label(label=label, use_underline=True, xalign=0, mnemonic_widget=widget)
        grid.attach(label, column * 2, row, 1, 1)
        grid.attach(widget, column * 2 + 1, row, 1, 1)
    return grid


def column(*widgets, first_grows=False):
    """Widgets one below the other."""
    box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8)
    for index, widget in enumerate(widgets):
        grows = first_grows and index == 0
        box.pack_start(widget, grows, grows, 0)
    return box


def own():
    """What stands where the recipe decides."""
    return _("automatic")
