"""What the plug-in says: the translation function, and the sentences that several rooms share."""

import gettext
from pathlib import Path

translation = gettext.translation("impasto", Path(__file__).parent / "locale", fallback=True)
_ = translation.gettext
ngettext = translation.ngettext
COMFORTABLE_ZOOM = 2.0
"""A painting that is enlarged by more than this looks soft."""


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
            return waiting_text(head.get("place") or 1)
        case "starting":
            return _("Getting ready to paint on {device}").format(device=head.get("device") or "?")
        case "reconnecting":
            return _("Reconnecting; the painting goes on meanwhile")
        case "fetching":
            return _("Fetching the picture")
        case other:
            return other


def waiting_text(place):
    """For a device that paints something else."""
    if place <= 1:
        return _("Waiting: next in line")
    return ngettext("Waiting: {ahead} picture is ahead", "Waiting: {ahead} pictures are ahead", place - 1).format(
        ahead=place - 1
    )


def time_left(seconds):
    """`12 s left`, `3 min left`."""
    return _("{time} left").format(time=duration(seconds))


def duration(seconds):
    """`12 s`, `3 min`: rounded to what it can be relied on."""
    if seconds < 10:
        return _("{seconds} s").format(seconds=max(1, round(seconds)))
    if seconds < 90:
        return _("{seconds} s").format(seconds=5 * round(seconds / 5))
    if seconds < 5400:
        return _("{minutes} min").format(minutes=round(seconds / 60))
    return _("{hours} h").format(hours=round(seconds / 3600))


def server_sentence(head):
    """What a server is, as one sentence."""
    devices = ", ".join(device["description"] or device["name"] for device in head["devices"])
    waiting = head["queued_jobs"] + head["running_jobs"]
    queue = _("nothing is ahead of you")
    if waiting:
        queue = ngettext("{jobs} picture is ahead", "{jobs} pictures are ahead", waiting).format(jobs=waiting)
    if not devices:
        return _("Connected, but this server has nothing to paint with at the moment.")
    return _("Connected: paints on {devices}; {queue}.").format(devices=devices, queue=queue)


def size_sentence(painted, content_size, seconds):
    """How large is painted, how much that is enlarged, and how long it takes here (None: not known)."""
    text = _("Painted at {width} × {height} px").format(width=painted[0], height=painted[1])
    zoom = max(content_size) / max(painted)
    if zoom > 1.05:
        text += ", " + _("then enlarged {zoom} times").format(zoom=f"{zoom:.1f}".removesuffix(".0"))
    if seconds:
        text += " · " + _("about {time}").format(time=duration(seconds))
    return text
