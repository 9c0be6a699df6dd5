"""Plays the painter inside the plug-in: does something with a dialog when something has happened. Idle by itself.

IMPASTO_REHEARSAL is a JSON list of [what has happened, what to do then]. `click LABEL` clicks the button that says so.
`mark NAME` writes a file of that name into IMPASTO_MARKS and goes on once the test has removed it, so that a screenshot
shows what was meant. `obey` does from then on what the test writes into ORDER, as long as there is a dialog.
The plug-in's tests put this beside it; what is shipped knows nothing of it.
"""

import json
import os
import time
import traceback
from pathlib import Path

from gi.repository import Gimp, GLib

PAUSE_MS = 50
TIMES = Path("/t/times.jsonl")
ORDER, OBEYED = Path("/t/order"), Path("/t/obeyed")
AGAIN_AND_AGAIN = {"then", "preview", "rest", "steered", "tested", "painted", "unreachable"}
"""What happens more than once has to happen anew for each step that waits for it."""


class Rehearsal:
    """The steps that are left. `actions` maps a word to what is called with the words after it."""

    def __init__(self, actions):
        self._steps = json.loads(os.environ.get("IMPASTO_REHEARSAL", "[]"))
        self._actions = {"click": click, "obey": lambda _rest: GLib.timeout_add(PAUSE_MS, self._obey), **actions}
        self._marks = set()
        self._held = None
        self._past = set()

    def happened(self, event):
        """Something happened; the next step is taken if it waits for it, now or once the one before is done."""
        note(event)
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

    def forget_steps(self):
        """Another painting begins."""
        self._past = {event for event in self._past if not event.startswith("step ")}

    def _act(self):
        word, _space, rest = self._held.partition(" ")
        if word == "mark" and not self._marked(rest):
            return GLib.SOURCE_CONTINUE
        if word == "wait" and float(rest) > 0:
            self._held = f"wait {float(rest) - PAUSE_MS / 1000}"
            return GLib.SOURCE_CONTINUE
        if word not in ("mark", "wait"):
            note(self._held)
            self._actions[word](rest)
        self._held = None
        self.happened("then")
        return GLib.SOURCE_REMOVE

    def _obey(self):
        if ORDER.exists():
            word, _space, rest = ORDER.read_text().partition(" ")
            ORDER.unlink()
            try:
                self._actions[word](rest)
                answer = ""
            except Exception:
                answer = traceback.format_exc()
            half = OBEYED.with_suffix(".half")
            half.write_text(answer)
            half.replace(OBEYED)
        return GLib.SOURCE_CONTINUE

    def _marked(self, name):
        """Writes the mark; True once the test has seen it."""
        path = Path(os.environ["IMPASTO_MARKS"]) / name
        if name in self._marks:
            return not path.exists()
        self._marks.add(name)
        path.write_text(name)
        return False


def note(event):
    """When it happened, for those who want to know how long things took."""
    with TIMES.open("a") as times:
        times.write(json.dumps([event, time.monotonic()]) + "\n")


def click(label):
    """Clicks the button with this label in any of our windows, if a painter could."""
    from gi.repository import Gtk
    from widgets import inside, labels

    buttons = [widget for window in Gtk.Window.list_toplevels() for widget in inside(window)]
    buttons = [widget for widget in buttons if isinstance(widget, Gtk.Button) and label in labels(widget)]
    buttons = [widget for widget in buttons if widget.get_mapped() and widget.is_sensitive()]
    if len(buttons) != 1:
        raise LookupError(f"{len(buttons)} buttons can be clicked that say {label!r}")
    buttons[0].clicked()


def set_property(config, rest):
    """`NAME VALUE`."""
    name, _space, value = rest.partition(" ")
    kind = type(config.get_property(name))
    config.set_property(name, kind(value) if kind in (int, float) else value)


def heard(rehearsal, head):
    """What an answer of the helper means for a script."""
    match head["event"]:
        case "stage":
            rehearsal.happened(head["stage"])
        case "progress":
            rehearsal.painted(head["step"])
        case "end":
            rehearsal.happened("gallery")
            rehearsal.happened("pictures")
        case other:
            rehearsal.happened(other)


def watch(dialog_class, connection_class, actions_of, more):
    """Every dialog of this class gets a rehearsal of its own, which hears what its connection hears."""
    begin, receive, stand = dialog_class.__init__, connection_class._received, connection_class._stand
    current = []

    def begun(self, *arguments):
        current.clear()
        rehearsal = Rehearsal(actions_of(self))
        current.append(rehearsal)
        begin(self, *arguments)
        self._window.connect("map-event", lambda *_a: rehearsal.happened("shown"))
        more(self, rehearsal)

    def received(self, link, head, parts):
        result = receive(self, link, head, parts)
        if current and head is not None:
            heard(current[0], head)
        return result

    def stood(self, now):
        result = stand(self, now)
        if current and now.is_wrong:
            current[0].happened("unreachable")
        if current and now.state.name in ("READY", "LOST", "BROKEN"):
            current[0].happened({"READY": "tested", "LOST": "lost", "BROKEN": "broken"}[now.state.name])
        return result

    dialog_class.__init__, connection_class._received, connection_class._stand = begun, received, stood


def paint_actions(dialog):
    """What a painter can do in the dialog."""

    def style(name):
        icons = dialog._styles._gallery._icons
        from gi.repository import Gtk

        icons.select_path(Gtk.TreePath.new_from_indices([dialog._styles._gallery.names.index(name)]))

    def chaos(rest):
        count, seed = rest.split()
        Chaos(dialog, int(count), int(seed), chaos_done)

    def chaos_done(longest_s):
        note(f"longest {longest_s:.3f}")
        dialog._rehearsed.happened("chaos over")

    def do(code):
        layer = dialog._layers[0]
        import common

        exec(code, {"common": common, "Gimp": Gimp, "layer": layer, "image": layer.get_image(), "dialog": dialog})  # noqa: S102 (a test's own line)

    def history(number):
        from gi.repository import Gtk

        dialog._earlier.view._icons.select_path(Gtk.TreePath.new_from_indices([int(number)]))

    return {
        "set": lambda rest: set_property(dialog._config, rest),
        "style": style,
        "file": dialog._styles.choose_file,
        "layer": dialog._styles.choose_layer,
        "page": dialog._pages.turn_to,
        "history": history,
        "do": do,
        "chaos": chaos,
    }


def listen_to_paint(dialog, rehearsal):
    """A painting that ends, with a layer or without."""
    generate, painted = dialog._generate, dialog._painted
    dialog._rehearsed = rehearsal

    def generated():
        rehearsal.forget_steps()
        generate()
        if dialog._painting is None:
            GLib.idle_add(rehearsal.happened, "rest")

    def ended(head, parts):
        painting = dialog._painting
        painted(head, parts)
        if painting is not None and painting.has_ended:
            done = type(painting.outcome).__name__ == "Finished"
            GLib.idle_add(rehearsal.happened, "painted" if done else "rest")

    dialog._generate, dialog._painted = generated, ended


def recover_actions(dialog):
    """What a painter can do in the list."""
    from gi.repository import Gtk

    return {
        "set": lambda rest: set_property(dialog._config, rest),
        "job": lambda number: dialog._list.get_selection().select_path(Gtk.TreePath.new_from_indices([int(number)])),
    }


if os.environ.get("IMPASTO_REHEARSAL"):
    import gi

    gi.require_version("Gdk", "3.0")
    gi.require_version("Gtk", "3.0")
    gi.require_version("GimpUi", "3.0")

    from chaos import Chaos

    from connection.connection import Connection
    from window.dialog import PaintDialog
    from window.recover_dialog import RecoverDialog

    class Lazy:
        """Actions that are looked up once the dialog is there."""

        def __init__(self, actions_of, dialog):
            self._find = lambda: actions_of(dialog)

        def keys(self):
            return ["set", "style", "file", "layer", "page", "history", "do", "chaos", "job"]

        def __getitem__(self, word):
            return lambda rest: self._find()[word](rest)

    watch(PaintDialog, Connection, lambda dialog: Lazy(paint_actions, dialog), listen_to_paint)
    watch(RecoverDialog, Connection, lambda dialog: Lazy(recover_actions, dialog), lambda *_a: None)
