"""What a host asks beside painting: what a server is, its gallery's thumbnails, its finished jobs, one result."""

import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any

from impasto._client import Client
from impasto._events import JobState
from impasto._exceptions import JobNotFoundError
from impasto._helper._notes import find_note
from impasto._helper._painting import Tell
from impasto._helper._pixels import bare_png, resized, thumbnail
from impasto._images import decode
from impasto._job import Job

MOST_JOBS = 50
SAME_PROPORTIONS = 0.02
"""A result within 2 % of a layer's proportions was painted from one of its size, give or take the rounding."""


def describe_server(client: Client) -> dict[str, Any]:
    """The answer to `server`: devices, queue, recipes, gallery; `round_trip_ms` is a second call's."""
    info = client.server_info()
    started = time.perf_counter()
    info = client.server_info()
    round_trip_ms = (time.perf_counter() - started) * 1000
    return {
        "address": client.address,
        "version": info.version,
        "devices": [{"name": d.name, "description": d.description, "busy": d.busy} for d in info.devices],
        "queued_jobs": info.queued_jobs,
        "running_jobs": info.running_jobs,
        "round_trip_ms": round(round_trip_ms, 1),
        "max_size_px": info.limits.max_size_px,
        "weights": [{"name": w.name, "description": w.description} for w in info.weights],
        "recipes": [{"name": r.name, "summary": r.summary, "defaults": dict(r.defaults)} for r in info.recipes],
        "gallery": [{"name": g.name, "title": g.title, "description": g.description} for g in info.gallery],
    }


def send_thumbnails(client: Client, jobs: Sequence[str], size_px: int, tell: Tell) -> None:
    """Answers `thumbnails`: one frame a job, or a gallery style if there are no jobs, then `end`."""
    if jobs:
        pictures = ((name, client.job(name).partial_bytes()) for name in jobs)
    else:
        pictures = ((style.name, client.download(style.image)) for style in client.styles())
    for name, data in pictures:
        width, height, pixels = thumbnail(data, size_px)
        tell("thumbnail", {"pixels": pixels}, name=name, width=width, height=height)
    tell("end")


def list_jobs(client: Client, tell: Tell) -> None:
    """Answers `jobs`: those that have a picture, the newest first."""
    titles = gallery_titles(client)
    with_picture = (job for job in client.jobs() if has_picture(job))
    tell("jobs", jobs=[describe_job(job, titles) for job in itertools.islice(with_picture, MOST_JOBS)])


def has_picture(job: Job) -> bool:
    """True for a job that has ended with something to show."""
    return job.state in (JobState.SUCCEEDED, JobState.CANCELLED) and job.result_event is not None


def gallery_titles(client: Client) -> Mapping[str, str]:
    """What the gallery's styles are called, by name."""
    return {style.name: style.title for style in client.styles()}


def describe_job(job: Job, titles: Mapping[str, str]) -> dict[str, Any]:
    """What a list of jobs shows of one."""
    result = job.result_event
    assert result
    style = style_name(job)
    return {
        "name": job.name,
        "style": style,
        "title": titles.get(style, ""),
        "recipe": job.recipe,
        "partial": result.partial,
        "width": result.stored.width_px,
        "height": result.stored.height_px,
        "ended": int(job.end_time.timestamp()) if job.end_time else 0,
        "note": find_note(job.name).get("note", {}),
    }


def style_name(job: Job) -> str:
    """The gallery style's name; empty for a picture of the painter's own."""
    styles = job.message.spec.styles
    return styles[0].gallery_style if styles else ""


def fetch_job(client: Client, name: str, fit: tuple[int, int] | None, depth: int, tell: Tell) -> None:
    """Answers `fetch` with a job's picture and transparency, at the size of what it was painted from.

    Without a name, the newest. Raises JobNotFoundError if there is none.
    """
    job = client.job(name) if name else next((job for job in client.jobs() if has_picture(job)), None)
    if job is None or not has_picture(job):
        raise JobNotFoundError("There is no finished picture on this server.")
    data = job.partial_bytes()
    image = decode(data)
    size = wanted_size(image.size, job.name, fit)
    if depth == 16:
        parts = {"file": bare_png(data)}
    else:
        painted = resized(image.convert("RGB"), size)
        painted.putalpha(resized(image.convert("RGBA").getchannel("A"), size))
        parts = {"pixels": painted.tobytes()}
    profile: bytes = image.info.get("icc_profile") or b""
    if profile:
        parts["profile"] = profile
    described = describe_job(job, gallery_titles(client)) | {
        "width": size[0],
        "height": size[1],
        "depth": depth,
        "job": job.name,
    }
    tell("done", parts, **described)


def wanted_size(painted: tuple[int, int], job_name: str, fit: tuple[int, int] | None) -> tuple[int, int]:
    """That of what it was painted from, if it is known here; else `fit` if it has these proportions; else its own."""
    note = find_note(job_name)
    if note.get("width") and note.get("height"):
        return int(note["width"]), int(note["height"])
    width, height = painted
    if fit and abs(width * fit[1] / (height * fit[0]) - 1) < SAME_PROPORTIONS + 1 / min(painted):
        return fit
    return painted
