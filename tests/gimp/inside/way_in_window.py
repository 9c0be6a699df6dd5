"""Shows the way in, in a window of its own, and does what it is told, a word of JSON a line; each answer is the state.

PLUG_IN FOLDER: where the plug-in is, and where it installs.
"""

import json
import sys
import threading
from pathlib import Path

plug_in, folder = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(plug_in))

import gi  # noqa: E402

gi.require_version("Gtk", "3.0")

from gi.repository import GLib, Gtk  # noqa: E402
from widgets import inside  # noqa: E402

from way_in.view import WayInView  # noqa: E402

ready = []


def shown(kind):
    return [widget for widget in inside(view.get_visible_child()) if isinstance(widget, kind) and widget.get_mapped()]


def state():
    return {
        "page": view.get_visible_child_name(),
        "texts": [label.get_text() for label in shown(Gtk.Label) if label.get_text()],
        "buttons": [button.get_label() for button in shown(Gtk.Button) if button.get_sensitive()],
        "entries": [entry.get_text() for entry in shown(Gtk.Entry)],
        "bars": [bar.get_fraction() for bar in shown(Gtk.ProgressBar)],
        "names": [widget.get_accessible().get_name() for widget in shown((Gtk.Entry, Gtk.TextView))],
        "size": list(window.get_size()),
        "ready": len(ready),
    }


def do(order):
    if "press" in order:
        next(button for button in shown(Gtk.Button) if button.get_label() == order["press"]).clicked()
    if "paste" in order:
        shown(Gtk.Entry)[0].set_text(order["paste"])
    if "close" in order:
        view.close()
        Gtk.main_quit()
    print(json.dumps(state()), flush=True)


def obey():
    for line in sys.stdin:
        GLib.idle_add(do, json.loads(line))


window = Gtk.Window(title="Neural Style", default_width=640, default_height=420, border_width=14)
view = WayInView(plug_in, lambda: ready.append(1), folder)
window.add(view)
window.show()
window.move(40, 40)
threading.Thread(target=obey, daemon=True).start()
Gtk.main()
