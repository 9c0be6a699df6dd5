"""`impasto jobs`: what is on the server, whoever put it there."""

import itertools
import re
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from impasto._cli._deliver import Targets, deliver, frames_options, own_path
from impasto._cli._display import choose_display, print_json
from impasto._cli._options import bits_option, json_option, server_option, weights_options
from impasto._cli._output import FORMATS, check_depth, check_output, server_format, write_picture
from impasto._client import Client
from impasto._events import JobState
from impasto._exceptions import JobCancelledError, JobNotFoundError, ParameterError
from impasto._job import Job

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BEGINNING = re.compile(r"[0-9a-f]{6,}")


@click.group()
def jobs() -> None:
    """List, watch, steer, continue, cancel, fetch and delete jobs.

    A JOB is its id, or the beginning of it: at least 6 digits.
    """


@jobs.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="The newest so many.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([str(state) for state in JobState if state is not JobState.UNKNOWN]),
    help="Only jobs in this state; repeat for several.",
)
@server_option
@json_option
def list_jobs(limit: int, states: tuple[str, ...], server: str | None, as_json: bool) -> None:
    """Show jobs, the newest first."""
    with Client(server) as client:
        found = list(itertools.islice(client.jobs(states), limit))
    if as_json:
        for job in found:
            print_json(job_json(job))
        return
    if not found:
        click.echo(f"There are no jobs{' in that state' if states else ''}.", err=True)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("job", "state", "recipe", "step", "device", "created"):
        table.add_column(column, no_wrap=True)
    for job in found:
        table.add_row(job.id, str(job.state), job.recipe, step_text(job), job.device, created_text(job))
    print_table(table)


@jobs.command()
@click.argument("job_id", metavar="JOB")
@server_option
@json_option
def show(job_id: str, server: str | None, as_json: bool) -> None:
    """Show all about one job."""
    with Client(server) as client:
        job = find_job(client, job_id)
    if as_json:
        print_json(job_json(job))
        return
    for name, value in {**job_json(job), "error": job.error}.items():
        if value not in (None, "", False):
            click.echo(f"{name:<12} {value}")


@jobs.command()
@click.argument("job_id", metavar="JOB")
@click.option("--after-sequence", default=0, type=click.IntRange(0), help="Only events after this one.")
@server_option
@json_option
def watch(job_id: str, after_sequence: int, server: str | None, as_json: bool) -> int:
    """Follow a job to its end. Ctrl-C stops watching; the job goes on."""
    with Client(server) as client:
        job = find_job(client, job_id)
        with choose_display(as_json, job.id[:8]) as display:
            for event in job.watch(previews=None, after_sequence=after_sequence):
                display.show(event)
    if job.error is not None:
        raise job.error
    return 0


@jobs.command()
@click.argument("job_ids", metavar="JOB...", nargs=-1, required=True)
@server_option
def cancel(job_ids: tuple[str, ...], server: str | None) -> None:
    """Stop jobs within one step; their pictures so far are kept."""
    with Client(server) as client:
        for job_id in job_ids:
            job = find_job(client, job_id).cancel()
            click.echo(f"{job.id} {job.state}")


@jobs.command()
@click.argument("job_ids", metavar="JOB...", nargs=-1, required=True)
@server_option
def delete(job_ids: tuple[str, ...], server: str | None) -> None:
    """Forget jobs that have ended, and their pictures."""
    with Client(server) as client:
        for job_id in job_ids:
            job = find_job(client, job_id)
            job.delete()
            click.echo(f"{job.id} deleted")


@jobs.command()
@click.argument("job_id", metavar="JOB")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: JOB.png (or .tif) in this folder.")
@server_option
def fetch(job_id: str, output: Path | None, server: str | None) -> None:
    """Wait for a job's picture and write it.

    A cancelled job's is the picture so far.
    """
    if output is not None:
        check_output(output, FORMATS, [], "--output")
    with Client(server) as client:
        job = find_job(client, job_id)
        with choose_display(False, job.id[:8]) as display:
            if not job.state.ended:
                for event in job.watch(previews=None, after_sequence=job.last_sequence):
                    display.show(event)
        try:
            data = job.result_bytes()
        except JobCancelledError as error:
            if error.partial is None:
                raise
            data = job.partial_bytes()
    output = output or own_path(job)
    write_picture(data, output)
    click.echo(str(output))


@jobs.command()
@click.argument("job_id", metavar="JOB")
@weights_options
@server_option
def steer(job_id: str, server: str | None, **weights: float | None) -> None:
    """Change a job's weights from its next step on."""
    if all(weight is None for weight in weights.values()):
        raise click.UsageError("Give --content-weight, --style-weight or --tv-weight.")
    with Client(server) as client:
        job = find_job(client, job_id).update(**weights)
    step = f" at step {step_text(job)}" if job.progress else ""
    changed = ", ".join(
        f"{name.replace('_', ' ')} {weight:g}" for name, weight in weights.items() if weight is not None
    )
    click.echo(f"{job.id} {job.state}{step}: {changed} from its next step on")


@jobs.command("continue")
@click.argument("job_id", metavar="JOB")
@click.option("--steps", type=int, help="Steps to make on top. Default: as many as were asked for before.")
@weights_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: NEW-JOB.png (or .tif) in this folder.")
@bits_option
@frames_options
@server_option
@json_option
def continue_job(
    job_id: str,
    output: Path | None,
    save_frames: Path | None,
    timelapse: Path | None,
    server: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Go on from where a job ended, as a new job.

    All that isn't said here stays as it was. The first Ctrl-C stops the new job and keeps the picture so far; the
    second leaves at once.
    """
    targets = Targets(output, save_frames, timelapse)
    targets.check([])
    check_depth(output, options["bits_per_channel"])
    if output is not None:
        options["result_format"] = server_format(output)
    with Client(server) as client:
        before = find_job(client, job_id)
        display = choose_display(as_json, f"{before.id[:8]} continued")
        return deliver(lambda: before.continue_with(**options), display, targets, as_json=as_json)


def find_job(client: Client, text: str) -> Job:
    """The job of this id or name, or the only one whose id begins like this."""
    beginning = text.removeprefix("jobs/").lower()
    if UUID.fullmatch(beginning):
        return client.job(beginning)
    digits = beginning.replace("-", "")
    if not BEGINNING.fullmatch(digits):
        raise ParameterError(f"{text!r} is no job: its id is wanted, or at least the first 6 digits of it.")
    found = [job for job in client.jobs() if job.id.replace("-", "").startswith(digits)]
    if not found:
        raise JobNotFoundError(f"No job's id begins with {text}; `impasto jobs list` shows them.")
    if len(found) > 1:
        candidates = "".join(f"\n  {job.id}  {job.state}  {created_text(job)}".rstrip(" ") for job in found)
        raise ParameterError(f"{text} is the beginning of {len(found)} jobs:{candidates}")
    return found[0]


def job_json(job: Job) -> dict[str, Any]:
    """A job as `--json` prints it."""
    progress, result = job.progress, job.result_event
    return {
        "id": job.id,
        "state": str(job.state),
        "recipe": job.recipe,
        "continues": job.message.spec.continue_from.removeprefix("jobs/"),
        "device": job.device,
        "attempt": job.attempt,
        "created": job.create_time.isoformat() if job.create_time else None,
        "started": job.start_time.isoformat() if job.start_time else None,
        "ended": job.end_time.isoformat() if job.end_time else None,
        "step": progress.step if progress else None,
        "steps": progress.steps if progress else None,
        "result": result.stored.name if result else None,
        "partial": result.partial if result else None,
        "error": {"reason": job.error.reason, "message": job.error.message} if job.error else None,
        "sequence": job.last_sequence,
    }


def step_text(job: Job) -> str:
    """`12/400`; empty before the first step."""
    return f"{job.progress.step}/{job.progress.steps}" if job.progress else ""


def created_text(job: Job) -> str:
    """`2030-01-31 12:00:00`, on the reader's clock."""
    return job.create_time.astimezone().strftime("%Y-%m-%d %H:%M:%S") if job.create_time else ""


def print_table(table: Table) -> None:
    """On stdout; as wide as it needs to be when a program reads it."""
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False).print(table)
