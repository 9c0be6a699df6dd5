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
    message = re.sub(r"\s*\([^()]*`[^()]*\)|: `[^`]*`(?=\.)", "", message)
    first, *rest = re.split(r"(?<=[.!?])\s+(?=\S)", message.strip())
    if len(first) > LONGEST:
        return first[: LONGEST - 1].rsplit(" ", 1)[0] + "…"
    second = rest[0] if rest and "`" not in rest[0] and "IMPASTO_" not in rest[0] else ""
    return f"{first} {second}" if second and len(first) + len(second) < LONGEST else first
