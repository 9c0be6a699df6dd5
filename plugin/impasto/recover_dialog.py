"""Chooses one of a server's finished jobs. What happens then is recovering.py's."""

import time

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")

from gi.repository import GdkPixbuf, GimpUi, GLib, Gtk  # noqa: E402
from helper_link import HOST_CHECK_S, HelperLink  # noqa: E402
from rehearsal import Rehearsal  # noqa: E402
from sentence_view import SentenceView  # noqa: E402
from server_view import ServerView  # noqa: E402
from style_view import pixbuf_of  # noqa: E402
from texts import Cancelled, _, told  # noqa: E402

NAME, PICTURE = 0, 1
COLUMNS = (_("Style"), _("Recipe"), _("Size"), _("Finished"))
THUMBNAIL_PX = 72


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
        self._jobs = Gtk.ListStore(str, GdkPixbuf.Pixbuf, *[str] * len(COLUMNS))
        self._list = Gtk.TreeView(model=self._jobs)
        self._list.append_column(Gtk.TreeViewColumn("", Gtk.CellRendererPixbuf(), pixbuf=PICTURE))
        for index, title in enumerate(COLUMNS, PICTURE + 1):
            self._list.append_column(Gtk.TreeViewColumn(title, Gtk.CellRendererText(), text=index))
        self._list.get_selection().connect("changed", self._selected)
        self._list.connect("row-activated", lambda *_a: self._window.response(Gtk.ResponseType.OK))
        scrolled = Gtk.ScrolledWindow(min_content_height=320, min_content_width=560)
        scrolled.add(self._list)
        self._note = SentenceView()
        self._server = ServerView(config, self._ask)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8, margin=12)
        box.pack_start(scrolled, True, True, 0)
        box.pack_start(self._note, False, False, 0)
        box.pack_start(self._server, False, False, 0)
        box.show_all()
        self._window.get_content_area().pack_start(box, True, True, 0)
        self._list.grab_focus()
        self._rehearsal = Rehearsal({"job": self._choose, "set": self._rehearse_setting})
        self._link = HelperLink(lambda head, parts: GLib.idle_add(self._received, head, parts))
        self._host_check = GLib.timeout_add(int(HOST_CHECK_S * 1000), self._check_host)
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
        self._note.say(_("Asking the server…"))
        self._set_jobs([])
        self._link.ask("jobs", server=self._config.get_property("server") or "")

    def _received(self, head, parts):
        match head["event"]:
            case "hello":
                self._server.set_default(head.get("default_server") or "local")
            case "jobs":
                self._show(head["jobs"])
            case "thumbnail":
                self._show_picture(head, parts["pixels"])
            case "end":
                self._rehearsal.happened("pictures")
            case "failed":
                self._note.complain(head["sentence"])
                self._rehearsal.happened("failed")
            case "lost":
                self._note.complain(self._link.lost_sentence())
        return GLib.SOURCE_REMOVE

    def _show(self, jobs):
        self._set_jobs(jobs)
        self._note.say("" if jobs else _("There is no finished picture on this server."))
        if jobs:
            names, server = [job["name"] for job in jobs], self._config.get_property("server") or ""
            self._link.ask("thumbnails", jobs=names, size_px=THUMBNAIL_PX, server=server)
        self._rehearsal.happened("jobs")

    def _set_jobs(self, jobs):
        self._config.set_property("job", "")
        self._jobs.clear()
        blank = GdkPixbuf.Pixbuf.new(GdkPixbuf.Colorspace.RGB, True, 8, THUMBNAIL_PX, THUMBNAIL_PX * 3 // 4)
        blank.fill(0)
        for job in jobs:
            style = (job.get("note") or {}).get("style") or told(job.get("title")) or job["style"] or _("own picture")
            recipe = _("{recipe}, stopped early").format(recipe=job["recipe"]) if job["partial"] else job["recipe"]
            size = f"{job['width']} × {job['height']}"
            ended = time.strftime("%x %X", time.localtime(job["ended"]))
            self._jobs.append([job["name"], blank, style, recipe, size, ended])
        if jobs:
            self._list.get_selection().select_path(Gtk.TreePath.new_first())
        # Without a job, Insert would take the newest of all.
        self._window.set_response_sensitive(Gtk.ResponseType.OK, bool(jobs))

    def _show_picture(self, head, data):
        for row in self._jobs:
            if row[NAME] == head["name"]:
                row[PICTURE] = pixbuf_of(head, data)

    def _choose(self, number):
        self._list.get_selection().select_path(Gtk.TreePath.new_from_indices([int(number)]))

    def _rehearse_setting(self, rest):
        name, _space, value = rest.partition(" ")
        self._config.set_property(name, value)

    def _selected(self, selection):
        model, row = selection.get_selected()
        if row is not None:
            self._config.set_property("job", model[row][NAME])

    def _check_host(self):
        self._link.end_with_host()
        return GLib.SOURCE_CONTINUE
