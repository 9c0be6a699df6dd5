"""How things stand with helper and server: a state, one sentence for the painter, and what there is to press."""

import enum
from dataclasses import dataclass

from texts import _


class State(enum.Enum):
    """Where a connection can stand."""

    NEVER_ASKED = enum.auto()
    STARTING = enum.auto()
    """Asked; the answer is on its way."""
    READY = enum.auto()
    UNREACHABLE = enum.auto()
    """The helper is well, the server doesn't answer or wants something else."""
    LOST = enum.auto()
    """The helper died or hangs."""
    BROKEN = enum.auto()
    """Nothing can be asked before somebody mends a file or sets Impasto up."""


class Remedy(enum.Enum):
    """What a painter can press."""

    NOTHING = enum.auto()
    ASK_AGAIN = enum.auto()
    START_AGAIN = enum.auto()
    SET_UP = enum.auto()


@dataclass(frozen=True)
class Standing:
    """One state with its words."""

    state: State
    sentence: str
    remedy: Remedy = Remedy.NOTHING
    kind: str = ""
    """Name of the client's exception; empty if nothing is wrong."""
    details: str = ""
    """All that was said, for whoever has to find out."""

    @property
    def is_wrong(self):
        """True where the painter has to do something first."""
        return self.state in (State.UNREACHABLE, State.LOST, State.BROKEN)


def never_asked():
    """Before the first question."""
    return Standing(State.NEVER_ASKED, "")


def starting(server):
    """On the way to a server."""
    if server in ("", "local"):
        return Standing(State.STARTING, _("Getting ready…"))
    return Standing(State.STARTING, _("Asking the server…"))


def ready(sentence):
    """The server has answered."""
    return Standing(State.READY, sentence)


def refused(head):
    """The helper's `failed` answer to a question about a server."""
    if head["kind"] == "HelperLost":
        return lost(head.get("details", ""))
    state = State.BROKEN if head["kind"] == "ConfigurationError" else State.UNREACHABLE
    return Standing(state, head["sentence"], Remedy.ASK_AGAIN, head["kind"], head.get("details", ""))


def lost(complaints):
    """The helper has died."""
    sentence = _("Impasto's helper stopped unexpectedly.")
    return Standing(State.LOST, sentence, Remedy.START_AGAIN, "HelperLost", complaints)


def silent():
    """The helper doesn't answer."""
    sentence = _("Impasto's helper has stopped answering.")
    return Standing(State.LOST, sentence, Remedy.START_AGAIN, "HelperLost")


def not_set_up(refusal):
    """There is no helper."""
    return Standing(State.BROKEN, str(refusal), Remedy.SET_UP, "NotSetUp")


def other_version():
    """Helper and plug-in don't belong together."""
    sentence = _("GIMP's part of Impasto is of another version: run `impasto gimp install`, then start GIMP again.")
    return Standing(State.BROKEN, sentence, Remedy.NOTHING, "OtherVersion")
