"""Questions to the helper and their answers on GIMP's main thread; a helper that dies or hangs is an answer, too."""

import os
import time

from gi.repository import GLib

from connection import standing
from connection.link import HelperLink
from connection.standing import State
from texts import Refusal, server_sentence

PROTOCOL = 3
"""What a helper of our own version says in `hello`."""
CHECK_S = 0.5
QUIET_S = 2.0
"""After so long without a word from the helper it is asked whether it is well."""
SILENCE_S = 8.0
"""After so long it isn't: it answers `hello` at once whatever else it does."""
ENDS = frozenset({"hello", "server", "end", "jobs", "done", "cancelled", "failed"})
"""Events after which nothing more comes to a question."""


class Connection:
    """A helper that is started when it is needed, again after it died. `changed` is called when the standing changes.

    Every question is answered, at the latest with `failed` of the kind HelperLost. Main thread only.
    """

    def __init__(self, changed=lambda: None):
        self._changed = changed
        self._link = None
        self._waits = {}
        self._heard = 0.0
        self._asked_how_it_is = False
        self._is_ours = True
        self._looked = 0
        self._host = os.getppid()
        self.standing = standing.never_asked()
        self.default_server = "local"
        self.server = None
        """What the server said of itself; None before it did."""
        self._check = GLib.timeout_add(int(CHECK_S * 1000), self._check_on_it)

    def ask(self, question, answered, parts=None, **fields):
        """Sends a request; `answered(head, parts)` gets each of its answers. Returns its id."""
        if self._link is None and not self._start():
            GLib.idle_add(lambda: answered(self._failure(), {}))
            return 0
        return self._send(question, answered, parts, fields)

    def tell(self, question, **fields):
        """Sends a request whose answers come under another one's id, to a helper that still runs."""
        if self._link is not None:
            self._link.send(question, **fields)

    def forget(self, request_id):
        """Nobody waits for these answers any more."""
        self._waits.pop(request_id, None)

    def look_at(self, server):
        """Asks what a server is; the standing says how that went."""
        self._looked += 1
        number = self._looked
        self.server = None
        self._stand(standing.starting(server or self.default_server))

        def answered(head, _parts):
            # Another server may have been asked for meanwhile.
            if number == self._looked:
                self._described(head)

        self.ask("server", answered, server=server)

    def restart(self):
        """Ends the helper, whatever it does; the next question starts another."""
        self._let_go(standing.never_asked())

    def close(self):
        """Ends the helper. Jobs go on."""
        GLib.source_remove(self._check)
        self._waits.clear()
        if self._link is not None:
            link, self._link = self._link, None
            link.close()

    def _start(self):
        self._heard, self._asked_how_it_is, self._is_ours = time.monotonic(), False, True
        link = []

        def deliver(head, parts):
            GLib.idle_add(lambda: self._received(link[0], head, parts))

        try:
            # The frames can't be looked at before this function has returned: that happens on this thread.
            link.append(HelperLink(deliver))
        except Refusal as refusal:
            self._stand(standing.not_set_up(refusal))
            return False
        self._link = link[0]
        self._send("hello", self._greeted, None, {})
        return True

    def _send(self, question, answered, parts, fields):
        if not self._waits:
            # Nobody listened for a while; silence counts from here.
            self._heard = time.monotonic()
        request_id = self._link.send(question, parts, **fields)
        self._waits[request_id] = answered
        return request_id

    def _greeted(self, head, _parts):
        if head["event"] == "failed":
            return
        if head.get("protocol") != PROTOCOL:
            self._is_ours = False
            self._stand(standing.other_version())
            return
        self.default_server = head.get("default_server") or "local"
        if broken := head.get("configuration_error"):
            self._stand(standing.refused({**broken, "kind": "ConfigurationError"}))
        else:
            self._changed()

    def _described(self, head):
        if head["event"] == "failed":
            if self.standing.state is not State.BROKEN:
                self._stand(standing.refused(head))
        elif self._is_ours:
            self.server = head
            self._stand(standing.ready(server_sentence(head)))
        else:
            # It answers, but what it says may mean something else.
            self._stand(standing.other_version())

    def _received(self, link, head, parts):
        if link is not self._link:
            return GLib.SOURCE_REMOVE
        self._heard, self._asked_how_it_is = time.monotonic(), False
        if head is None:
            # Not close, which waits: this helper is dead, or speaks what nobody understands.
            self._let_go(standing.lost(link.complaints()))
        elif answered := self._waits.get(head.get("id")):
            if head["event"] in ENDS:
                self._waits.pop(head["id"])
            answered(head, parts)
        return GLib.SOURCE_REMOVE

    def _check_on_it(self):
        if os.getppid() != self._host:
            # GIMP is gone; it has no other way to tell us while we wait for somebody else.
            self.close()
            os._exit(1)
        quiet_s = time.monotonic() - self._heard
        if self._link is None or not self._waits:
            return GLib.SOURCE_CONTINUE
        if quiet_s > SILENCE_S:
            self._let_go(standing.silent())
        elif quiet_s > QUIET_S and not self._asked_how_it_is:
            self._asked_how_it_is = True
            self._link.send("hello")
        return GLib.SOURCE_CONTINUE

    def _let_go(self, now):
        if self._link is None:
            self._stand(now)
            return
        link, self._link = self._link, None
        link.kill()
        waits, self._waits = self._waits, {}
        self.server = None
        self._stand(now)
        for answered in waits.values():
            answered(self._failure(), {})

    def _failure(self):
        now = self.standing
        return {"event": "failed", "kind": now.kind or "HelperLost", "sentence": now.sentence, "details": now.details}

    def _stand(self, now):
        self.standing = now
        self._changed()
