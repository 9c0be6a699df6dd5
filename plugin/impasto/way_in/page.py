"""What the pages of the way in are made of: a heading, sentences that wrap, a frame around a choice."""

from gi.repository import Gtk, Pango

TEXT_CHARS = 62


def column(spacing):
    """Widgets above each other."""
    return Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=spacing)


def heading(words):
    """The one thing that a page is about."""
    label = Gtk.Label(label=words, xalign=0)
    attributes = Pango.AttrList()
    attributes.insert(Pango.attr_scale_new(1.3))
    attributes.insert(Pango.attr_weight_new(Pango.Weight.BOLD))
    label.set_attributes(attributes)
    return label


def text(words, *, dim=False):
    """Sentences that wrap, and can be read out and copied."""
    label = Gtk.Label(label=words, xalign=0, yalign=0, wrap=True, max_width_chars=TEXT_CHARS)
    if dim:
        label.get_style_context().add_class("dim-label")
    return label


def framed(inside):
    """A choice with a border around it."""
    inside.set_border_width(12)
    frame = Gtk.Frame()
    frame.add(inside)
    return frame
