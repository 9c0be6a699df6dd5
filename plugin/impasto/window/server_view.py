"""Which server paints: this computer, an address or an invitation; a button tries it."""

from gi.repository import Gtk

from texts import _

LOCAL = "local"
INVITATION = "impasto://"


class ServerView(Gtk.Grid):
    """Writes the address to the procedure's configuration, and follows it. `test` asks what is there.

    `set_up` shows how to set this computer up.
    """

    def __init__(self, config, test, set_up=None):
        super().__init__(row_spacing=6, column_spacing=6, margin=6)
        self._config = config
        self._test = test
        self._default = LOCAL
        self._here = Gtk.RadioButton.new_with_mnemonic(None, _("T_his computer"))
        self._there = Gtk.RadioButton.new_with_mnemonic_from_widget(self._here, _("_Another one"))
        self._address = Gtk.Entry(placeholder_text=_("host:port or invitation"), hexpand=True, width_chars=18)
        self._address.get_accessible().set_name(_("Address of the server, or an invitation to it"))
        button = Gtk.Button(label=_("_Test"), use_underline=True)
        self.attach(self._here, 0, 0, 3, 1)
        self.attach(self._there, 0, 1, 1, 1)
        self.attach(self._address, 1, 1, 1, 1)
        self.attach(button, 2, 1, 1, 1)
        if set_up is not None:
            change = Gtk.Button(label=_("Set up or remove Impasto…"), halign=Gtk.Align.START, margin_top=12)
            change.connect("clicked", lambda *_a: set_up())
            self.attach(change, 0, 2, 3, 1)
        self.show_all()
        self.follow()
        self._here.connect("toggled", lambda *_a: self._write())
        self._address.connect("changed", lambda *_a: self._write())
        self._address.connect("focus-in-event", lambda *_a: self._there.set_active(True))
        self._address.connect("activate", lambda *_a: test())
        button.connect("clicked", lambda *_a: test())
        config.connect("notify::server", lambda *_a: self.follow())

    def set_default(self, address):
        """What the client is configured for, shown as long as nothing else was chosen."""
        if address != self._default:
            self._default = address
            self.follow()

    def follow(self):
        """Shows what the configuration says."""
        address = self._config.get_property("server") or self._default
        if address == LOCAL:
            self._here.set_active(True)
        else:
            self._there.set_active(True)
            if self._address.get_text() != address:
                self._address.set_text(address)

    def reached(self, address):
        """The server answered. An invitation has been kept by the helper: from here on its address is enough."""
        if self._address.get_text().startswith(INVITATION):
            self._config.set_property("server", address)

    def _write(self):
        address = LOCAL if self._here.get_active() else self._address.get_text().strip()
        if address and address != (self._config.get_property("server") or self._default):
            self._config.set_property("server", address)
            if address.startswith(INVITATION):
                self._test()  # pasted: nobody types one
