"""What a host asks beside painting: what a server is, its gallery's thumbnails, its finished jobs, one result."""

import itertools
import time
from typing import Any

from impasto._client import Client
from impasto._events import JobState
from impasto._exceptions import JobNotFoundError
from impasto._helper._painting import Tell
from impasto._helper._pixels import pixels_of, thumbnail
from impasto._images import decode
from impasto._job import Job

MOST_JOBS = 50
SAME_PROPORTIONS = 0.02
"""A result within 2 % of a layer's proportions was painted from one of its size, give or take the rounding."""


def describe_server(client: Client, tell: Tell) -> None:
    """Answers `server`: devices, queue, recipes, gallery; `round_trip_ms` is a second call's."""
    info = client.server_info()
    started = time.perf_counter()
    info = client.server_info()
    round_trip_ms = (time.perf_counter() - started) * 1000
    tell(
        "server",
        address=client.address,
        version=info.version,
        devices=[{"name": d.name, "description": d.description, "busy": d.busy} for d in info.devices],
        queued_jobs=info.queued_jobs,
        running_jobs=info.running_jobs,
        round_trip_ms=round(round_trip_ms, 1),
        max_size_px=info.limits.max_size_px,
        recipes=[{"name": r.name, "summary": r.summary, "defaults": dict(r.defaults)} for r in info.recipes],
        gallery=[{"name": g.name, "title": g.title, "description": g.description} for g in info.gallery],
    )


def send_thumbnails(client: Client, size_px: int, tell: Tell) -> None:
    """Answers `thumbnails`: one frame a gallery style, then `end`."""
    for style in client.styles():
        width, height, pixels = thumbnail(client.download(style.image), size_px)
        tell("thumbnail", {"pixels": pixels}, name=style.name, width=width, height=height)
    tell("end")


def list_jobs(client: Client, tell: Tell) -> None:
    """Answers `jobs`: those that have a picture, the newest first."""
    with_picture = (job for job in client.jobs() if has_picture(job))
    tell("jobs", jobs=[describe_job(job) for job in itertools.islice(with_picture, MOST_JOBS)])


def has_picture(job: Job) -> bool:
    """True for a job that has ended with something to show."""
    return job.state in (JobState.SUCCEEDED, JobState.CANCELLED) and job.result_event is not None


def describe_job(job: Job) -> dict[str, Any]:
    """What a list of jobs shows of one."""
    result = job.result_event
    assert result
    return {
        "name": job.name,
        "style": style_name(job),
        "recipe": job.recipe,
        "partial": result.partial,
        "width": result.stored.width_px,
        "height": result.stored.height_px,
        "ended": int(job.end_time.timestamp()) if job.end_time else 0,
    }


def style_name(job: Job) -> str:
    """The gallery style's name; empty for a picture of the painter's own."""
    styles = job.message.spec.styles
    return styles[0].gallery_style if styles else ""


def fetch_job(client: Client, name: str, fit: tuple[int, int] | None, tell: Tell) -> None:
    """Answers `fetch` with a job's picture, RGBA; enlarged to `fit` if it has these proportions.

    Without a name, the newest. Raises JobNotFoundError if there is none.
    """
    job = client.job(name) if name else next((job for job in client.jobs() if has_picture(job)), None)
    if job is None or not has_picture(job):
        raise JobNotFoundError("There is no finished picture on this server.")
    image = decode(job.partial_bytes())
    size = image.size
    if fit and abs(size[0] * fit[1] / (size[1] * fit[0]) - 1) < SAME_PROPORTIONS + 1 / min(size):
        size = fit
    alpha = image.convert("RGBA").getchannel("A").resize(size)
    colours = pixels_of(image.convert("RGB"), *size, 8)
    profile: bytes = image.info.get("icc_profile") or b""
    parts = {"pixels": colours, "alpha": alpha.tobytes()}
    if profile:
        parts["profile"] = profile
    described = describe_job(job) | {"width": size[0], "height": size[1], "depth": 8, "job": job.name}
    tell("done", parts, **described)
