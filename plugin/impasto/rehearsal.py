"""Lets a test play the painter: clicks the dialog's own buttons when something has happened. Idle without its variable.

IMPASTO_REHEARSAL is a JSON list of [what has happened, what to do then]. `mark NAME` writes a file of that name into
IMPASTO_MARKS and goes on once the test has removed it, so that a screenshot shows what was meant.
"""

import json
import os
from pathlib import Path

from gi.repository import GLib

SCRIPT_VARIABLE = "IMPASTO_REHEARSAL"
MARKS_VARIABLE = "IMPASTO_MARKS"
PAUSE_MS = 50


class Rehearsal:
    """The steps that are left. `actions` maps a word to what is called with the words after it."""

    def __init__(self, actions):
        self._steps = json.loads(os.environ.get(SCRIPT_VARIABLE, "[]"))
        self._actions = actions
        self._marks = set()
        self._held = None
        self._past = set()

    def happened(self, event):
        """Something happened; the next step is taken if it waits for it, now or once the one before is done."""
        self._past.add(event)
        if self._steps and self._held is None and self._steps[0][0] in self._past:
            event, self._held = self._steps.pop(0)
            # What happens again and again has to happen anew for the step after this one.
            self._past.discard(event)
            self._past -= {"then", "preview", "rest", "steered", "tested"}
            GLib.timeout_add(PAUSE_MS, self._act)

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
