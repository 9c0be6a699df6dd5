"""What the plug-in says: the translation function, and the sentences that several windows share."""

import gettext
from pathlib import Path

translation = gettext.translation("impasto", Path(__file__).parent / "locale", fallback=True)
_ = translation.gettext
ngettext = translation.ngettext


def told(words):
    """What a server has said, in the painter's language if it is known (server_words.py)."""
    return _(words) if words else ""


class Refusal(Exception):
    """What was asked for can't be done; the text is one sentence for the painter."""


class Cancelled(Exception):
    """The painter changed their mind: no error, and nothing to say."""


def stage_text(head):
    """What happens now, as one line, of a `stage` or `progress` event."""
    if head["event"] == "progress":
        text = _("Painting, scale {scale} of {scales}").format(**head)
        return f"{text} · {time_left(head['seconds_left'])}"
    match head["stage"]:
        case "connecting":
            return _("Looking for the server")
        case "uploading":
            return _("Uploading")
        case "waiting":
            return _("Waiting at place {place}").format(place=head.get("place") or 1)
        case "starting":
            return _("Getting ready to paint on {device}").format(device=head.get("device") or "?")
        case "reconnecting":
            return _("Reconnecting; the painting goes on meanwhile")
        case "fetching":
            return _("Fetching the picture")
        case other:
            return other


def time_left(seconds):
    """`12 s left`, `3 min left`."""
    if seconds < 90:
        return _("{seconds} s left").format(seconds=max(0, round(seconds)))
    return _("{minutes} min left").format(minutes=round(seconds / 60))


def server_sentence(head):
    """What a server answered to the Test button, as one sentence."""
    devices = ", ".join(device["description"] or device["name"] for device in head["devices"])
    waiting = head["queued_jobs"] + head["running_jobs"]
    queue = _("nothing waits")
    if waiting:
        queue = ngettext("{jobs} picture is ahead", "{jobs} pictures are ahead", waiting).format(jobs=waiting)
    text = _("{devices} answers in {milliseconds} ms; {queue}.")
    return text.format(devices=devices or _("A server"), milliseconds=round(head["round_trip_ms"]), queue=queue)
