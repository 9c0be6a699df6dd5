"""Chooses one of a server's finished jobs. What happens then is recovering.py's."""

import time

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")

from gi.repository import GimpUi, GLib, Gtk  # noqa: E402
from helper_link import HelperLink  # noqa: E402
from rehearsal import Rehearsal  # noqa: E402
from server_view import ServerView  # noqa: E402
from texts import Cancelled, _  # noqa: E402

COLUMNS = (_("Style"), _("Recipe"), _("Size"), _("Finished"))


def choose(procedure, config):
    """Writes the chosen job to the configuration. Raises Cancelled."""
    GimpUi.init("impasto")
    dialog = RecoverDialog(procedure, config)
    try:
        if not dialog.run():
            raise Cancelled
    finally:
        dialog.close()


class RecoverDialog:
    """A list, a server, and a button."""

    def __init__(self, procedure, config):
        self._config = config
        self._window = GimpUi.ProcedureDialog.new(procedure, config, _("Neural Style: Recover"))
        self._window.set_ok_label(_("_Insert"))
        self._jobs = Gtk.ListStore(str, *[str] * len(COLUMNS))
        self._list = Gtk.TreeView(model=self._jobs)
        for index, title in enumerate(COLUMNS, 1):
            self._list.append_column(Gtk.TreeViewColumn(title, Gtk.CellRendererText(), text=index))
        self._list.get_selection().connect("changed", self._selected)
        scrolled = Gtk.ScrolledWindow(min_content_height=260, min_content_width=520)
        scrolled.add(self._list)
        self._note = Gtk.Label(xalign=0, wrap=True, max_width_chars=60)
        self._server = ServerView(config, self._ask)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8, margin=12)
        box.pack_start(scrolled, True, True, 0)
        box.pack_start(self._note, False, False, 0)
        box.pack_start(self._server, False, False, 0)
        box.show_all()
        self._window.get_content_area().pack_start(box, True, True, 0)
        self._rehearsal = Rehearsal(
            {
                "insert": lambda _rest: self._window.response(Gtk.ResponseType.OK),
                "leave": lambda _rest: self._window.response(Gtk.ResponseType.CANCEL),
            }
        )
        self._link = HelperLink(lambda head, parts: GLib.idle_add(self._received, head))
        self._host_check = GLib.timeout_add(500, self._check_host)
        config.set_property("job", "")
        self._link.ask("hello")
        self._ask()

    def run(self):
        """True if a job was chosen."""
        return self._window.run()

    def close(self):
        """Ends the helper and the window."""
        GLib.source_remove(self._host_check)
        self._link.close()
        self._window.destroy()

    def _ask(self):
        self._note.set_text(_("Asking the server…"))
        self._link.ask("jobs", server=self._config.get_property("server") or "")

    def _received(self, head):
        match head["event"]:
            case "hello":
                self._server.set_default(head.get("default_server") or "local")
            case "jobs":
                self._show(head["jobs"])
            case "failed":
                self._jobs.clear()
                self._note.set_text(head["sentence"])
            case "lost":
                self._note.set_text(self._link.lost_sentence())
        return GLib.SOURCE_REMOVE

    def _show(self, jobs):
        self._jobs.clear()
        for job in jobs:
            size = f"{job['width']} × {job['height']}"
            ended = time.strftime("%x %X", time.localtime(job["ended"]))
            recipe = _("{recipe}, stopped early").format(recipe=job["recipe"]) if job["partial"] else job["recipe"]
            self._jobs.append([job["name"], job["style"] or _("own picture"), recipe, size, ended])
        self._note.set_text("" if jobs else _("There is no finished picture on this server."))
        if jobs:
            self._list.get_selection().select_path(Gtk.TreePath.new_first())
        self._rehearsal.happened("jobs")

    def _selected(self, selection):
        model, row = selection.get_selected()
        if row is not None:
            self._config.set_property("job", model[row][0])

    def _check_host(self):
        self._link.end_with_host()
        return GLib.SOURCE_CONTINUE
