"""`impasto jobs`: what is on the server, whoever put it there."""

import itertools
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from impasto._cli._display import choose_display, print_json
from impasto._cli._options import json_option, server_option
from impasto._cli._output import FORMATS, check_output, write_picture
from impasto._client import Client
from impasto._exceptions import JobCancelledError
from impasto._job import Job


@click.group()
def jobs() -> None:
    """List, watch, steer, cancel, fetch and delete jobs."""


@jobs.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="The newest so many.")
@server_option
@json_option
def list_jobs(limit: int, server: str | None, as_json: bool) -> None:
    """Show jobs, the newest first."""
    with Client(server) as client:
        found = list(itertools.islice(client.jobs(), limit))
    if as_json:
        for job in found:
            print_json(job_json(job))
        return
    if not found:
        click.echo("There are no jobs.", err=True)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("job", "state", "recipe", "step", "device", "created"):
        table.add_column(column, no_wrap=True)
    for job in found:
        created = job.create_time.astimezone().strftime("%Y-%m-%d %H:%M:%S") if job.create_time else ""
        table.add_row(job.id, str(job.state), job.recipe, step_text(job), job.device, created)
    print_table(table)


@jobs.command()
@click.argument("job_id", metavar="JOB")
@server_option
@json_option
def show(job_id: str, server: str | None, as_json: bool) -> None:
    """Show all about one job."""
    with Client(server) as client:
        job = client.job(job_id)
    if as_json:
        print_json(job_json(job))
        return
    for name, value in job_json(job).items():
        if value not in (None, "", {}):
            click.echo(f"{name:<12} {value}")


@jobs.command()
@click.argument("job_id", metavar="JOB")
@click.option("--after-sequence", default=0, type=click.IntRange(0), help="Only events after this one.")
@server_option
@json_option
def watch(job_id: str, after_sequence: int, server: str | None, as_json: bool) -> int:
    """Follow a job to its end. Ctrl-C stops watching; the job goes on."""
    with Client(server) as client:
        job = client.job(job_id)
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
            job = client.job(job_id).cancel()
            click.echo(f"{job.id} {job.state}")


@jobs.command()
@click.argument("job_ids", metavar="JOB...", nargs=-1, required=True)
@server_option
def delete(job_ids: tuple[str, ...], server: str | None) -> None:
    """Forget jobs that have ended, and their pictures."""
    with Client(server) as client:
        for job_id in job_ids:
            job = client.job(job_id)
            job.delete()
            click.echo(f"{job.id} deleted")


@jobs.command()
@click.argument("job_id", metavar="JOB")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: JOB.png in this folder.")
@server_option
def fetch(job_id: str, output: Path | None, server: str | None) -> None:
    """Wait for a job's picture and write it; a cancelled job's is the partial one."""
    if output is not None:
        check_output(output, FORMATS, [], "--output")
    with Client(server) as client:
        job = client.job(job_id)
        output = output or Path(f"{job.id}.png")
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
    write_picture(data, output)
    click.echo(str(output))


@jobs.command()
@click.argument("job_id", metavar="JOB")
@click.option("--content-weight", type=float)
@click.option("--style-weight", type=float)
@click.option("--tv-weight", type=float)
@server_option
def steer(job_id: str, server: str | None, **weights: float | None) -> None:
    """Change a job's weights from its next step on."""
    if all(weight is None for weight in weights.values()):
        raise click.UsageError("Give --content-weight, --style-weight or --tv-weight.")
    with Client(server) as client:
        job = client.job(job_id).update(**weights)
    click.echo(f"{job.id} {job.state}")


def job_json(job: Job) -> dict[str, Any]:
    """A job as `--json` prints it."""
    progress, result = job.progress, job.result_event
    return {
        "id": job.id,
        "state": str(job.state),
        "recipe": job.recipe,
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


def print_table(table: Table) -> None:
    """On stdout; as wide as it needs to be when a program reads it."""
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False).print(table)
