"""What a painter sees before there is a helper: set up this computer, or paste an invitation; and how that goes.

A widget for the dialog to show; it keeps its size whatever it says. `ready` is called once a helper can be started.
"""

import threading

from gi.repository import GLib, Gtk

from texts import Cancelled, Refusal, _
from way_in.command_page import CommandPage
from way_in.folder import data_folder, free_bytes, remove
from way_in.installing import Installation, LargerOnly, check_invitation
from way_in.page import column, framed, heading, text
from way_in.plan import LIGHT, plan_here, plan_sentence, space_sentence
from way_in.supplies import supplies_of
from way_in.transport import NobodyListens, check_listening, is_set_up

LINES_SHOWN = 2000


class WayInView(Gtk.Stack):
    """Choices, then progress, then how it ended. `close` ends whatever goes on."""

    def __init__(self, plug_in, ready, folder=None, install=Installation):
        super().__init__(homogeneous=True, transition_type=Gtk.StackTransitionType.CROSSFADE)
        self._plug_in = plug_in
        self._folder = folder or data_folder()
        self._ready = ready
        self._install = install
        self._running = None
        self._choice = (None, "")
        self._plan = None
        self.add_named(self._build_choices(), "choices")
        self.add_named(self._build_work(), "work")
        self._command = CommandPage(self._try_helper)
        self.add_named(self._command, "command")
        self.show_all()
        for widget in (self._log_area, self._again, self._remove):
            # These come and go; whoever shows the dialog's widgets all at once doesn't mean them.
            widget.set_no_show_all(True)
            widget.hide()
        self._show_choices()
        # A driver may take its time to say what it drives.
        threading.Thread(target=lambda: GLib.idle_add(self._planned, plan_here()), daemon=True).start()
        if is_set_up(plug_in):
            try:
                check_listening(plug_in)
            except NobodyListens as nobody:
                self._show_command(nobody, "")

    def close(self):
        """Ends what is being installed; what was downloaded is kept."""
        if self._running is not None:
            self._running.cancel()
            self._running = None

    # The choices.

    def _build_choices(self):
        page = column(14)
        page.pack_start(heading(_("Where should Impasto paint?")), False, False, 0)
        self._here = Gtk.Button(
            label=_("Set _up this computer"), use_underline=True, halign=Gtk.Align.START, sensitive=False
        )
        self._here.get_style_context().add_class("suggested-action")
        self._here.connect("clicked", lambda *_a: self._begin(self._plan, ""))
        self._space = text("", dim=True)
        here = column(6)
        here.add(self._here)
        self._speed = text("")
        here.add(self._speed)
        here.add(self._space)
        page.pack_start(framed(here), False, False, 0)
        self._invitation = Gtk.Entry(placeholder_text="impasto://…", hexpand=True, activates_default=False)
        self._invitation.get_accessible().set_name(_("Invitation"))
        self._there = Gtk.Button(label=_("Use this ser_ver"), use_underline=True, sensitive=False)
        self._invitation.connect("changed", lambda *_a: self._there.set_sensitive(bool(self._pasted())))
        self._invitation.connect("activate", lambda *_a: self._there.clicked())
        self._there.connect("clicked", lambda *_a: self._use_server())
        row = Gtk.Box(spacing=6)
        row.pack_start(self._invitation, True, True, 0)
        row.pack_start(self._there, False, False, 0)
        there = column(6)
        there.add(text(_("Or let a server paint: paste the invitation that its owner gave you.")))
        there.add(row)
        self._light_space = text("", dim=True)
        there.add(self._light_space)
        page.pack_start(framed(there), False, False, 0)
        self._remove = Gtk.Button(label=_("Re_move what was installed"), use_underline=True, halign=Gtk.Align.START)
        self._remove.set_relief(Gtk.ReliefStyle.NONE)
        self._remove.connect("clicked", lambda *_a: self._begin_removal())
        page.pack_end(self._remove, False, False, 0)
        return page

    def _planned(self, plan):
        self._plan = plan
        self._speed.set_text(plan_sentence(plan))
        self._here.set_sensitive(True)
        if self.get_visible_child_name() == "choices" and not self._pasted():
            self._here.grab_focus()
        self._show_space()
        return GLib.SOURCE_REMOVE

    def _show_choices(self):
        self._show_space()
        self._remove.set_visible(self._folder.exists())
        self.set_visible_child_name("choices")

    def _show_space(self):
        free = free_bytes(self._folder)
        self._space.set_text(space_sentence(self._plan, free) if self._plan else "")
        self._light_space.set_text(space_sentence(LIGHT, free))

    def _use_server(self):
        try:
            check_invitation(self._pasted())
        except Refusal as refusal:
            self._light_space.set_text(str(refusal))
        else:
            self._begin(LIGHT, self._pasted())

    def _pasted(self):
        return self._invitation.get_text().strip()

    # The work.

    def _build_work(self):
        page = column(10)
        self._title = heading("")
        self._sentence = text("")
        self._bar = Gtk.ProgressBar()
        self._details = Gtk.ToggleButton(label=_("_Details…"), use_underline=True)
        self._details.connect("toggled", lambda button: self._log_area.set_visible(button.get_active()))
        self._again = Gtk.Button(label=_("Try _again"), use_underline=True)
        self._again.connect("clicked", lambda *_a: self._begin(*self._choice))
        self._stop = Gtk.Button(label=_("Ca_ncel"), use_underline=True)
        self._stop.connect("clicked", lambda *_a: self._cancel())
        buttons = Gtk.Box(spacing=6)
        buttons.pack_start(self._details, False, False, 0)
        buttons.pack_end(self._stop, False, False, 0)
        buttons.pack_end(self._again, False, False, 0)
        self._log = Gtk.TextView(editable=False, monospace=True, wrap_mode=Gtk.WrapMode.CHAR, left_margin=6)
        self._log.get_accessible().set_name(_("Details"))
        self._log_area = Gtk.ScrolledWindow(shadow_type=Gtk.ShadowType.IN, min_content_height=130)
        self._log_area.add(self._log)
        for widget in (self._title, self._sentence, self._bar, buttons):
            page.pack_start(widget, False, False, 0)
        page.pack_start(self._log_area, True, True, 0)
        return page

    def _begin(self, plan, invitation):
        """Starts an installation; its thread ends with it."""
        self._choice = (plan, invitation)
        self._title.set_text(_("Connecting to your server") if invitation else _("Setting up this computer"))
        self._sentence.set_text("")
        self._bar.set_fraction(0)
        self._bar.set_opacity(1)
        self._stop.set_label(_("Ca_ncel"))
        self._again.hide()
        self._log.get_buffer().set_text("")
        self.set_visible_child_name("work")
        try:
            supplies = supplies_of(self._plug_in)
        except Refusal as refusal:
            self._failed(str(refusal))
            return
        self._running = running = self._install(
            self._plug_in,
            self._folder,
            supplies,
            plan,
            invitation=invitation,
            told=lambda progress: self._later(running, self._tell, progress),
            logged=lambda line: self._later(running, self._add_line, line),
        )
        threading.Thread(target=self._work, args=(running,), daemon=True).start()

    def _work(self, running):
        try:
            running.run()
        except Cancelled:
            return
        except LargerOnly as larger:
            self._choice = (larger.plan, self._choice[1])
            self._later(running, self._failed, str(larger))
        except Refusal as refusal:
            self._later(running, self._failed, str(refusal))
        except Exception as error:  # a bug of ours must not look like a download that takes long
            self._later(running, self._failed, _("That didn't work. Details… shows what was tried."))
            self._later(running, self._add_line, repr(error))
        else:
            self._later(running, self._done)

    def _later(self, running, action, *what):
        """On GIMP's thread; never, if the painter has gone on meanwhile."""

        def act():
            if running is self._running:
                action(*what)
            return GLib.SOURCE_REMOVE

        GLib.idle_add(act)

    def _tell(self, progress):
        self._sentence.set_text(progress.sentence)
        self._bar.set_fraction(progress.fraction)

    def _add_line(self, line):
        buffer = self._log.get_buffer()
        buffer.insert(buffer.get_end_iter(), line + "\n")
        if buffer.get_line_count() > LINES_SHOWN:
            buffer.delete(buffer.get_start_iter(), buffer.get_iter_at_line(buffer.get_line_count() - LINES_SHOWN))
        self._log.scroll_to_iter(buffer.get_end_iter(), 0, False, 0, 0)

    def _failed(self, sentence):
        self._running = None
        self._sentence.set_text(sentence)
        # Not hidden: the buttons would move.
        self._bar.set_opacity(0)
        self._stop.set_label(_("_Back"))
        self._again.show()
        self._again.grab_focus()

    def _cancel(self):
        """Back to the choices, at once; the programs end behind it."""
        self.close()
        self._show_choices()

    def _begin_removal(self):
        """Gigabytes go away in seconds; the window stays alive meanwhile."""
        self._remove.set_sensitive(False)
        threading.Thread(target=self._remove_all, daemon=True).start()

    def _remove_all(self):
        sentence = ""
        try:
            remove(self._plug_in, self._folder)
        except Refusal as refusal:
            sentence = str(refusal)
        GLib.idle_add(self._removed, sentence)

    def _removed(self, sentence):
        self._remove.set_sensitive(True)
        self._show_choices()
        if sentence:
            self._space.set_text(sentence)
        return GLib.SOURCE_REMOVE

    def _done(self):
        self._running = None
        self._try_helper()

    # A helper that somebody has to start, outside of a sandbox.

    def _try_helper(self, not_yet=""):
        """Ready, if there is a helper; else what to do about it."""
        try:
            check_listening(self._plug_in)
        except NobodyListens as nobody:
            self._show_command(nobody, not_yet)
        else:
            self._ready()

    def _show_command(self, nobody, not_yet):
        self._command.show_line(nobody.command, not_yet)
        self.set_visible_child_name("command")
