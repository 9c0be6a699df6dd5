"""Lets a test play the painter: clicks a dialog's buttons when something has happened. Idle without its variable.

IMPASTO_REHEARSAL is a JSON list of [what has happened, what to do then]. `click LABEL` clicks the button that says so.
`mark NAME` writes a file of that name into IMPASTO_MARKS and goes on once the test has removed it, so that a screenshot
shows what was meant. What else there is to do is the dialog's.
"""

import json
import os
from pathlib import Path

from gi.repository import GLib, Gtk

SCRIPT_VARIABLE = "IMPASTO_REHEARSAL"
MARKS_VARIABLE = "IMPASTO_MARKS"
PAUSE_MS = 50
AGAIN_AND_AGAIN = {"then", "preview", "rest", "steered", "tested"}
"""What happens more than once has to happen anew for each step that waits for it."""


class Rehearsal:
    """The steps that are left. `actions` maps a word to what is called with the words after it."""

    def __init__(self, actions):
        self._steps = json.loads(os.environ.get(SCRIPT_VARIABLE, "[]"))
        self._actions = {"click": click, **actions}
        self._marks = set()
        self._held = None
        self._past = set()

    def happened(self, event):
        """Something happened; the next step is taken if it waits for it, now or once the one before is done."""
        self._past.add(event)
        if self._steps and self._held is None and self._steps[0][0] in self._past:
            event, self._held = self._steps.pop(0)
            self._past.discard(event)
            self._past -= AGAIN_AND_AGAIN
            GLib.timeout_add(PAUSE_MS, self._act)

    def painted(self, number):
        """A step was painted, and with it every one before, though not each of them may have been told."""
        waited_for = [event for event, _action in self._steps if event.startswith("step ")]
        self._past.update(event for event in waited_for if int(event.removeprefix("step ")) <= number)
        self.happened(f"step {number}")

    def _act(self):
        word, _space, rest = self._held.partition(" ")
        if word == "mark" and not self._marked(rest):
            return GLib.SOURCE_CONTINUE
        if word != "mark":
            self._actions[word](rest)
        self._held = None
        self.happened("then")
        return GLib.SOURCE_REMOVE

    def _marked(self, name):
        """Writes the mark; True once the test has seen it."""
        path = Path(os.environ[MARKS_VARIABLE]) / name
        if name in self._marks:
            return not path.exists()
        self._marks.add(name)
        path.write_text(name)
        return False


def click(label):
    """Clicks the button with this label in any of our windows, if a painter could."""
    buttons = [widget for window in Gtk.Window.list_toplevels() for widget in inside(window)]
    buttons = [widget for widget in buttons if isinstance(widget, Gtk.Button) and label in labels(widget)]
    buttons = [widget for widget in buttons if widget.get_mapped() and widget.is_sensitive()]
    if len(buttons) != 1:
        raise LookupError(f"{len(buttons)} buttons can be clicked that say {label!r}")
    buttons[0].clicked()


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
