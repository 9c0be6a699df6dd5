"""Jobs that a server has: a page of them, following one that exists already, and fetching its picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from impasto import _requests
from impasto._events import JobState
from impasto._exceptions import JobNotFoundError, JobStateError
from impasto._helper._answers import Answers
from impasto._helper._control import Control
from impasto._helper._notes import find_note, profile_of
from impasto._helper._pixels import bare_png, resized
from impasto._helper._reports import Reports
from impasto._helper._servers import Server, choose_recipe
from impasto._helper._styles import title
from impasto._helper._transfers import download
from impasto._images import decode
from impasto._job import Job
from impasto.v1 import stylizer_pb2

PAGE_SIZE = 20
LISTED = (JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING, JobState.SUCCEEDED, JobState.CANCELLED)
MOST_CALLS = 5
"""Of a page: a row of jobs that were cancelled before their first step must not make it endless."""
SAME_PROPORTIONS = 0.02
"""A result within 2 % of a layer's proportions was painted from one of its size, give or take the rounding."""


def list_jobs(server: Server, page_size: int, page_token: str, answers: Answers) -> None:
    """Answers `jobs`: those that wait, are painted or have a picture, the newest first."""
    found: list[Job] = []
    for _call in range(MOST_CALLS):
        request = stylizer_pb2.ListJobsRequest(
            page_size=page_size - len(found), page_token=page_token, states=_requests.job_states(LISTED)
        )
        page = server.client._list_jobs(request)
        found += [job for job in (Job(server.client, message) for message in page.jobs) if is_listed(job)]
        page_token = page.next_page_token
        if len(found) >= page_size or not page_token:
            break
    titles = server.titles()
    for job in found:
        remember_thumbnail(server, job)
    answers.tell("jobs", jobs=[describe_job(job, titles) for job in found], next_page_token=page_token)


def is_listed(job: Job) -> bool:
    """True for a job that goes on, and for one that has ended with something to show."""
    return not job.state.ended or has_picture(job)


def has_picture(job: Job) -> bool:
    """True for a job that has ended with something to show."""
    return job.state in (JobState.SUCCEEDED, JobState.CANCELLED) and job.result_event is not None


def remember_thumbnail(server: Server, job: Job) -> None:
    """So that it need not be asked for again."""
    if has_picture(job) and job.result_event:
        server.thumbnails[job.name] = job.result_event.thumbnail


def describe_job(job: Job, titles: Mapping[str, str]) -> dict[str, Any]:
    """What a list of jobs shows of one."""
    result, progress, names = job.result_event, job.progress, gallery_names(job)
    return {
        "name": job.name,
        "state": str(job.state),
        "style": names[0] if len(names) == len(job.message.spec.styles) == 1 else "",
        "title": title(names, titles),
        "recipe": job.recipe,
        "partial": result.partial if result else False,
        "width": result.stored.width_px if result else 0,
        "height": result.stored.height_px if result else 0,
        "step": progress.step if progress else 0,
        "steps": progress.steps if progress else 0,
        "seconds_left": round(progress.seconds_left, 1) if progress and not job.state.ended else 0,
        "created": int(job.create_time.timestamp()) if job.create_time else 0,
        "ended": int(job.end_time.timestamp()) if job.end_time else 0,
        "note": find_note(job.name).get("note", {}),
    }


def gallery_names(job: Job) -> Sequence[str]:
    """The gallery's names of its styles, without pictures of the painter's own."""
    return [style.gallery_style for style in job.message.spec.styles if style.gallery_style]


def watch_job(
    server: Server,
    name: str,
    fit: tuple[int, int] | None,
    depth: int,
    preview_px: int,
    answers: Answers,
    control: Control,
) -> None:
    """Answers `watch`: follows a job as `paint` does from `job` on, and ends as `fetch` does. `control` has begun.

    Raises ImpastoError, and AbandonedError once it is cancelled.
    """
    job = control.find(lambda: server.client.job(name))
    control.steerable(choose_recipe(server.info(), job.recipe), control.sliders)
    answers.tell(
        "job",
        name=job.name,
        title=title(gallery_names(job), server.titles()),
        recipe=job.recipe,
        size_px=job.message.spec.parameters.size_px,
        server=server.address,
    )
    if not job.state.ended:
        Reports(answers, control, preview_px, profile_of(job.name)).follow(job)
    answers.tell("stage", stage="fetching")
    job.refresh()
    if job.state is JobState.FAILED and job.error:
        raise job.error
    if not has_picture(job):
        raise JobStateError("Nothing had been painted yet, so there is no picture to keep.")
    send_picture(server, job, fit, depth, answers, control)


def fetch_job(
    server: Server, name: str, fit: tuple[int, int] | None, depth: int, answers: Answers, control: Control
) -> None:
    """Answers `fetch` with a job's picture. Without a name, the newest. Raises JobNotFoundError if there is none.

    Raises AbandonedError once it is cancelled; the job is none of its business.
    """
    client = server.client
    job = client.job(name) if name else next((job for job in client.jobs() if has_picture(job)), None)
    if job is None or not has_picture(job):
        raise JobNotFoundError("There is no finished picture on this server.")
    send_picture(server, job, fit, depth, answers, control)


def send_picture(
    server: Server, job: Job, fit: tuple[int, int] | None, depth: int, answers: Answers, control: Control
) -> None:
    """The last word: a job's picture and transparency, at the size of what it was painted from."""
    data = download(server.client, job._any_result().stored, control)
    image = decode(data)
    width, height = wanted_size(image.size, job.name, fit)
    if depth == 16:
        parts = {"file": bare_png(data)}
    else:
        painted = resized(image.convert("RGB"), (width, height))
        painted.putalpha(resized(image.convert("RGBA").getchannel("A"), (width, height)))
        parts = {"pixels": painted.tobytes()}
    profile: bytes = image.info.get("icc_profile") or b""
    if profile:
        parts["profile"] = profile
    described = describe_job(job, server.titles()) | {"width": width, "height": height}
    answers.tell("done", parts, **described, depth=depth, job=job.name)


def wanted_size(painted: tuple[int, int], job_name: str, fit: tuple[int, int] | None) -> tuple[int, int]:
    """That of what it was painted from, if it is known here; else `fit` if it has these proportions; else its own."""
    note = find_note(job_name)
    if note.get("width") and note.get("height"):
        return int(note["width"]), int(note["height"])
    width, height = painted
    if fit and abs(width * fit[1] / (height * fit[0]) - 1) < SAME_PROPORTIONS + 1 / min(painted):
        return fit
    return painted
