"""Shows a server's pictures, those that are still painted among them, and brings the chosen one into the image."""

import time

from gi.repository import Gdk, GdkPixbuf, GimpUi, Gtk

from connection.connection import Connection
from painting import windowless
from picture.content import check_colours, depth_of
from picture.glance import blank, pixbuf_of_frame
from texts import Cancelled, _, told
from window.sentence_view import SentenceView
from window.server_view import ServerView
from words import recipe_name

NAME, PICTURE = 0, 1
COLUMNS = (_("Style"), _("Recipe"), _("Size"), _("Painted"))
THUMBNAIL_PX = 72
PAGE_SIZE = 20


def recover(procedure, config, image, drawables):
    """Inserts the job that the painter chooses. Raises Cancelled or Refusal."""
    check_colours(image)
    GimpUi.init("impasto")
    dialog = RecoverDialog(procedure, config, depth_of(image))
    try:
        if not dialog.run():
            raise Cancelled
        dialog.hide()
        dialog.fetch(image, drawables)
    finally:
        dialog.close()


class RecoverDialog:
    """A list, a server, and a button."""

    def __init__(self, procedure, config, depth):
        self._config = config
        self._depth = depth
        self._states = {}
        self._token = ""
        self._asked = 0
        self._window = GimpUi.ProcedureDialog.new(procedure, config, _("Neural Style: Recover"))
        self._window.set_ok_label(_("_Insert"))
        self._jobs = Gtk.ListStore(str, GdkPixbuf.Pixbuf, *[str] * len(COLUMNS))
        self._list = Gtk.TreeView(model=self._jobs)
        self._list.get_accessible().set_name(_("Pictures of this server"))
        self._list.append_column(Gtk.TreeViewColumn("", Gtk.CellRendererPixbuf(), pixbuf=PICTURE))
        for index, title in enumerate(COLUMNS, PICTURE + 1):
            self._list.append_column(Gtk.TreeViewColumn(title, Gtk.CellRendererText(), text=index))
        self._list.get_selection().connect("changed", self._selected)
        self._list.connect("row-activated", lambda *_a: self._window.response(Gtk.ResponseType.OK))
        scrolled = Gtk.ScrolledWindow(min_content_height=320, min_content_width=620)
        scrolled.add(self._list)
        self._sentence = SentenceView()
        self._older = Gtk.Button(
            label=_("Sh_ow older ones"), use_underline=True, halign=Gtk.Align.START, sensitive=False
        )
        self._older.connect("clicked", lambda *_a: self._ask_for_page())
        self._server = ServerView(config, self._ask)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8, margin=12)
        for widget in (scrolled, self._older, self._sentence, self._server):
            box.pack_start(widget, widget is scrolled, True, 0)
        box.show_all()
        self._window.get_content_area().pack_start(box, True, True, 0)
        self._list.grab_focus()
        self._connection = Connection(self._stands)
        self._ask()

    def run(self):
        """True if a job was chosen."""
        return self._window.run()

    def hide(self):
        """The rest happens in GIMP's status bar."""
        self._window.hide()

    def fetch(self, image, drawables):
        """Inserts the chosen job; one that is still painted is waited for. Raises Refusal."""
        windowless.insert_job(self._connection, self._config, image, drawables, is_running=self._is_running())

    def close(self):
        """Ends the helper and the window."""
        self._window.destroy()
        # The window goes at once, whatever the helper is still busy with.
        Gdk.Display.get_default().flush()
        self._connection.close()

    def _stands(self):
        self._server.set_default(self._connection.default_server)
        if self._connection.standing.is_wrong:
            now = self._connection.standing
            self._sentence.complain(now.sentence, now.details)

    def _ask(self):
        self._sentence.say(_("Asking the server…"))
        self._config.set_property("job", "")
        self._jobs.clear()
        self._states, self._token = {}, ""
        self._window.set_response_sensitive(Gtk.ResponseType.OK, False)
        self._ask_for_page()

    def _ask_for_page(self):
        self._older.set_sensitive(False)
        server = self._config.get_property("server") or ""
        self._asked += 1
        number = self._asked

        def answered(head, _parts):
            # Another server may have been asked for meanwhile.
            if number == self._asked:
                self._show(head, server)

        self._connection.ask("jobs", answered, server=server, page_size=PAGE_SIZE, page_token=self._token)

    def _show(self, head, server):
        if head["event"] == "failed":
            self._sentence.complain(head["sentence"], head.get("details", ""))
            return
        for job in head["jobs"]:
            self._add(job)
        self._token = head.get("next_page_token") or ""
        self._older.set_sensitive(bool(self._token))
        self._sentence.say("" if len(self._jobs) else _("There is no finished picture on this server."))
        if head["jobs"]:
            if not self._config.get_property("job"):
                self._list.get_selection().select_path(Gtk.TreePath.new_first())
            names = [job["name"] for job in head["jobs"]]
            self._connection.ask("thumbnails", self._thumbnail, jobs=names, size_px=THUMBNAIL_PX, server=server)

    def _add(self, job):
        self._states[job["name"]] = job["state"]
        style = (job.get("note") or {}).get("style") or told(job.get("title")) or job["style"] or _("own picture")
        recipe = recipe_name(job["recipe"])
        recipe = _("{recipe}, stopped early").format(recipe=recipe) if job["partial"] else recipe
        size = f"{job['width']} × {job['height']}" if job["width"] else ""
        nothing = blank(THUMBNAIL_PX, THUMBNAIL_PX * 3 // 4)
        self._jobs.append([job["name"], nothing, style, recipe, size, painted_when(job)])

    def _thumbnail(self, head, parts):
        if head["event"] == "thumbnail":
            for row in self._jobs:
                if row[NAME] == head["name"]:
                    row[PICTURE] = pixbuf_of_frame(head, parts["pixels"])

    def _selected(self, selection):
        model, row = selection.get_selected()
        # Without a job, Insert would take the newest of all.
        self._window.set_response_sensitive(Gtk.ResponseType.OK, row is not None)
        if row is not None:
            self._config.set_property("job", model[row][NAME])
            if self._is_running():
                self._sentence.say(_("It is still being painted. Insert closes this window and waits for it."))
            else:
                self._sentence.say("")

    def _is_running(self):
        state = self._states.get(self._config.get_property("job"))
        return state in ("queued", "running", "cancelling")


def painted_when(job):
    """When it ended, or how far it is."""
    if job["state"] == "queued":
        return _("waiting")
    if job["state"] in ("running", "cancelling"):
        return _("{percent} % painted").format(percent=round(100 * job["step"] / max(1, job["steps"])))
    return time.strftime("%x %X", time.localtime(job["ended"]))
