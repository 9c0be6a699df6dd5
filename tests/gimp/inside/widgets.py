"""What is in a window, for those who click and read as a painter would."""

from gi.repository import Gtk


def inside(widget):
    """A widget and everything in it."""
    yield widget
    if isinstance(widget, Gtk.Container):
        children = []
        # Not get_children, which leaves out what GTK and GIMP have put there themselves.
        widget.forall(children.append)
        for child in children:
            yield from inside(child)


def labels(widget):
    """The texts in a button."""
    return [part.get_text() for part in inside(widget) if isinstance(part, Gtk.Label)]
