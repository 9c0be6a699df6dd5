"""What hosts want to remember of a job, on this machine: where its picture belongs, say. Servers know nothing of it."""

import base64
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from impasto._helper._pixels import Raw
from impasto._whole_file import write_whole

MOST_NOTES = 500
LARGEST_PROFILE_BYTES = 1 << 16
"""Profiles of working spaces have some hundred; one of a printer's, with megabytes, is not worth the room."""


def notes_folder() -> Path:
    """Where notes are kept, a file for each job."""
    import platformdirs

    return platformdirs.user_state_path("impasto") / "notes"


def keep_note(job_name: str, note: Mapping[str, Any]) -> None:
    """Writes a note down. A disk that is full must not cost a painting, so it may get lost."""
    folder = notes_folder()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(note_path(folder, job_name), json.dumps(note).encode())
        forget_oldest(folder)


def find_note(job_name: str) -> dict[str, Any]:
    """The note of a job; empty if there is none here."""
    try:
        note = json.loads(note_path(notes_folder(), job_name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def note_of_painting(content: Raw, note: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a painting: the host's own note, and what its picture was painted from."""
    profile = content.icc_profile if len(content.icc_profile) <= LARGEST_PROFILE_BYTES else b""
    kept = {"width": content.width, "height": content.height, "note": note}
    return kept | ({"profile": base64.b64encode(profile).decode()} if profile else {})


def profile_of(job_name: str) -> bytes:
    """The colour profile of what a job paints; empty for sRGB, and if nothing is known of it here."""
    try:
        return base64.b64decode(str(find_note(job_name).get("profile", "")))
    except ValueError:
        return b""


def note_path(folder: Path, job_name: str) -> Path:
    """A job's file; names are `jobs/UUID`."""
    return folder / f"{Path(job_name).name}.json"


def forget_oldest(folder: Path) -> None:
    """Servers forget jobs, too, and nobody tells."""
    notes = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in notes[MOST_NOTES:]:
        path.unlink(missing_ok=True)
