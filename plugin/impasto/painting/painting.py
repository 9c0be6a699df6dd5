"""How one painting goes: from asking to an outcome. Ends exactly once, and at once when the painter cancels it."""

import enum
from dataclasses import dataclass

from texts import _


@dataclass(frozen=True)
class Finished:
    """The picture is there: the head and parts of a `done` frame."""

    head: dict
    parts: dict


@dataclass(frozen=True)
class Failed:
    """It went wrong."""

    sentence: str
    details: str = ""


@dataclass(frozen=True)
class CancelledByPainter:
    """Nobody wants it any more."""


class Phase(enum.Enum):
    """Where a painting stands."""

    ASKED = enum.auto()
    """Nobody has taken it on yet: its upload is on its way, or a server is looked for."""
    TAKEN = enum.auto()
    """The server has made it a job: it goes on whatever becomes of us."""
    PAINTING = enum.auto()
    """There is something to see, to steer and to keep."""
    KEEPING = enum.auto()
    """The painter took it as it is; the picture is on its way."""
    ENDED = enum.auto()


class Painting:
    """A painting that a helper works on. `changed(head, parts)` is called after each of its events, the last included.

    `question` is `paint` with the fields of an order, `watch` of a job that is there already, `fetch` of its picture.
    """

    def __init__(self, connection, question, fields, parts, changed=lambda head, parts: None):
        self._connection = connection
        self.changed = changed
        self.phase = Phase.ASKED
        self.outcome = None
        self.job = fields.get("job", "")
        self.server = fields.get("server", "")
        self.title = ""
        self.size_px = 0
        """Long side that is painted; 0 before the server has said so."""
        self.step = 0
        self._id = connection.ask(question, self._answered, parts, **fields)

    @property
    def has_ended(self):
        """True once there is an outcome."""
        return self.phase is Phase.ENDED

    @property
    def can_be_kept(self):
        """True if there is a picture to keep."""
        return self.phase is Phase.PAINTING

    def steer(self, **sliders):
        """From the next step on, with these values."""
        if not self.has_ended:
            self._connection.tell("steer", painting=self._id, **sliders)

    def keep(self):
        """Takes the picture as it is."""
        if self.can_be_kept:
            self.phase = Phase.KEEPING
            self._connection.tell("keep", painting=self._id)

    def cancel(self):
        """Ends it at once, here. The helper and the server get to know as soon as they listen."""
        if self.has_ended:
            return
        self._connection.forget(self._id)
        self._connection.tell("cancel", painting=self._id)
        self._end(CancelledByPainter(), {"event": "cancelled"}, {})

    def leave(self):
        """Nobody looks any more; the job goes on, and Recover has its picture."""
        if not self.has_ended:
            self._connection.forget(self._id)
            self._end(CancelledByPainter(), {"event": "cancelled"}, {})

    def _answered(self, head, parts):
        if self.has_ended:
            return
        match head["event"]:
            case "job":
                self.job, self.title = head["name"], head.get("title") or ""
                self.size_px = head.get("size_px") or 0
                self.server = head.get("server") or self.server
                if self.phase is Phase.ASKED:
                    self.phase = Phase.TAKEN
            case "progress":
                self.step = head["step"]
                if self.phase in (Phase.ASKED, Phase.TAKEN):
                    self.phase = Phase.PAINTING
            case "done":
                self._end(Finished(head, parts), head, parts)
                return
            case "failed":
                self._end(Failed(failure(head, self.job), head.get("details", "")), head, parts)
                return
            case "cancelled":
                self._end(CancelledByPainter(), head, parts)
                return
        self.changed(head, parts)

    def _end(self, outcome, head, parts):
        self.phase, self.outcome = Phase.ENDED, outcome
        self.changed(head, parts)


def failure(head, job):
    """One sentence or two for what went wrong; says where the picture is if there is one to be had."""
    if (head.get("job") or job) and head.get("kind") in ("ServerUnavailableError", "LocalServerError", "HelperLost"):
        hint = _("The job may go on: Filters → Artistic → Neural Style: Recover… fetches its picture.")
        return f"{head['sentence']} {hint}"
    return head["sentence"]
