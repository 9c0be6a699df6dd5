"""Errors in a painter's words: one or two short sentences, and all that was said for those who want to know more."""

import re
from typing import Any

from impasto._exceptions import ImpastoError, QueueFullError

LONGEST = 200
"""Characters of a sentence in a dialog."""

BY_REASON = {
    "INTERNAL": "The server failed while it was painting.",
    "WORKER_DIED": "The server's painting process died over this picture, again and again.",
}
"""Where the server's own text is for whoever runs it."""

PAINTERS_WORDS = (
    (
        r"^A private server runs on (\S+), with .*",
        r"Impasto runs on \1 already, in the same folder. Wait until it has ended, 15 minutes after its last work.",
    ),
    (
        r"^A private server of Impasto (\S+) runs, which is newer than this client \((\S+)\).*",
        r"Impasto \1 runs on this computer, and GIMP's part of it is older (\2). Set Impasto up again.",
    ),
    (
        r"^No server is configured, and a private one can't be started on this machine because (.*) Install it with .*",
        r"Impasto can't paint on this computer because \1 Set Impasto up again, or use a server.",
    ),
    (r"\bThe private local server\b", "Impasto on this computer"),
    (
        r" The next command or call starts a new one, and unfinished jobs go on\.$",
        " Unfinished paintings go on once it is asked again.",
    ),
)
"""The server that a client starts for itself is nobody's business in a dialog: there it is the painter's computer."""


def explain(error: ImpastoError) -> dict[str, Any]:
    """`sentence`, `details` and `kind` of a `failed` answer."""
    sentence = BY_REASON.get(error.reason) or plain(error.message)
    if isinstance(error, QueueFullError):
        sentence = "The server has enough to do. Try again later."
    said = [] if error.message == sentence else [error.message]
    said += [error.details] if error.details else []
    return {"sentence": sentence, "details": "\n".join(said), "kind": type(error).__name__}


def plain(message: str) -> str:
    """The first sentences of a message, as many as two and as fit, without what is for a command line."""
    for theirs, ours in PAINTERS_WORDS:
        message = re.sub(theirs, ours, message, flags=re.DOTALL)
    message = re.sub(r"\s*\([^()]*`[^()]*\)|: `[^`]*`(?=\.)", "", message)
    first, *rest = re.split(r"(?<=[.!?])\s+(?=\S)", message.strip())
    if len(first) > LONGEST:
        return first[: LONGEST - 1].rsplit(" ", 1)[0] + "…"
    second = rest[0] if rest and "`" not in rest[0] and "IMPASTO_" not in rest[0] else ""
    return f"{first} {second}" if second and len(first) + len(second) < LONGEST else first
