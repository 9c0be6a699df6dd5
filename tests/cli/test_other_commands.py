"""All commands but `stylize`: jobs, info, styles, serve, demo."""

import contextlib
import json
import re
import subprocess
import sys

import pytest
from PIL import Image

import impasto
from impasto.v1 import job_pb2, stylizer_pb2
from tests.cli.conftest import opened
from tests.client.conftest import Scripted, running


@pytest.fixture(scope="module")
def client(server):
    """For what the commands need to find."""
    with impasto.Client(server.address) as client:
        yield client


@pytest.fixture
def finished(client, photo):
    """A job with a result."""
    job = client.submit(photo, "mist-ink", recipe="draft", size_px=32, steps=2)
    job.result()
    return job


@pytest.fixture
def endless(client, photo):
    """A job that is painted until it is cancelled."""
    job = client.submit(photo, "mist-ink", size_px=64, steps=9000)
    for event in job.watch(previews=None):
        if isinstance(event, impasto.Progress):
            break
    yield job
    with contextlib.suppress(impasto.JobNotFoundError):
        job.cancel()


def test_jobs_are_listed_for_people_and_programs(impasto_, finished):
    table = impasto_("jobs", "list").stdout
    assert finished.id in table
    assert "succeeded" in table
    newest = json.loads(impasto_("jobs", "list", "--limit", 1, "--json").stdout)
    assert (newest["id"], newest["state"], newest["step"]) == (finished.id, "succeeded", 2)


def test_jobs_are_listed_by_state(impasto_, finished, endless):
    def listed(*states):
        options = [word for state in states for word in ("--state", state)]
        lines = impasto_("jobs", "list", "--json", "--limit", 1000, *options).stdout.splitlines()
        return {(job["id"], job["state"]) for job in map(json.loads, lines)}

    assert listed("running") == {(endless.id, "running")}
    assert (finished.id, "succeeded") in listed("succeeded") <= listed("succeeded", "running")
    assert listed("failed") == set()
    assert "no jobs in that state" in impasto_("jobs", "list", "--state", "failed").stderr
    assert impasto_("jobs", "list", "--state", "ready").returncode == 2


def test_a_job_is_shown(impasto_, finished):
    shown = impasto_("jobs", "show", finished.id).stdout
    assert "state        succeeded" in shown
    assert "recipe       draft" in shown


def test_a_job_is_watched_from_any_place(impasto_, finished):
    done = impasto_("jobs", "watch", finished.id, "--json", "--after-sequence", 2)
    sequences = [json.loads(line)["sequence"] for line in done.stdout.splitlines()]
    assert sequences == list(range(3, finished.refresh().last_sequence + 1))
    assert "succeeded" in impasto_("jobs", "watch", finished.id).stderr


def test_a_result_is_fetched_whenever_it_is_wanted(impasto_, finished, folder):
    assert impasto_("jobs", "fetch", finished.id).stdout == f"{finished.id}.png\n"
    assert (folder / f"{finished.id}.png").read_bytes() == finished.result_bytes()
    assert impasto_("jobs", "fetch", finished.id, "-o", "again.jpg").returncode == 0
    assert opened(folder / "again.jpg").format == "JPEG"


def test_a_running_job_is_steered_cancelled_fetched_and_deleted(impasto_, endless, folder):
    steered = impasto_("jobs", "steer", endless.id, "--style-weight", 3, "--tv-weight", 0.5).stdout
    assert re.fullmatch(
        rf"{endless.id} running at step \d+/9000: style weight 3, tv weight 0\.5 from its next step on\n", steered
    )
    assert impasto_("jobs", "delete", endless.id).returncode == 1
    assert impasto_("jobs", "cancel", endless.id).returncode == 0
    assert impasto_("jobs", "fetch", endless.id, "-o", "so-far.png").returncode == 0
    assert opened(folder / "so-far.png").size == (64, 43)
    late = impasto_("jobs", "steer", endless.id, "--style-weight", 3)
    assert (late.returncode, late.stderr.count("\n")) == (1, 1)
    assert impasto_("jobs", "delete", endless.id).stdout == f"{endless.id} deleted\n"
    assert impasto_("jobs", "show", endless.id).returncode == 1


def test_a_job_goes_on_from_where_another_ended(impasto_, finished, folder):
    done = impasto_("jobs", "continue", finished.id[:8], "--steps", 3, "--style-weight", 2, "-o", "more.png")
    assert (done.returncode, done.stdout) == (0, "more.png\n")
    assert "step 3/3" in done.stderr
    assert opened(folder / "more.png").size == (32, 21)
    newest = json.loads(impasto_("jobs", "list", "--limit", 1, "--json").stdout)
    assert (newest["continues"], newest["recipe"], newest["steps"]) == (finished.id, "draft", 3)


def test_a_continued_job_tells_its_events_and_is_written_under_its_own_name(impasto_, finished, folder):
    done = impasto_("jobs", "continue", finished.id, "--json")
    saved = json.loads(done.stdout.splitlines()[-1])
    id_ = saved["job"].removeprefix("jobs/")
    assert (saved["type"], saved["path"]) == ("saved", f"{id_}.png")
    assert id_ != finished.id
    assert (folder / f"{id_}.png").exists()


def test_a_running_job_cant_be_continued(impasto_, endless):
    done = impasto_("jobs", "continue", endless.id, "--steps", 2)
    assert done.returncode == 1
    assert done.stderr == "impasto: The job to continue is running: wait for its end, or cancel it.\n"


def test_the_beginning_of_an_id_is_enough(impasto_, finished):
    for beginning in (finished.id[:6], finished.id[:12].upper(), f"jobs/{finished.id}"):
        assert f"id           {finished.id}" in impasto_("jobs", "show", beginning).stdout


@pytest.mark.parametrize(
    ("beginning", "code", "text"),
    [
        ("abcde", 2, "'abcde' is no job: its id is wanted, or at least the first 6 digits of it."),
        ("nothex-at-all", 2, "'nothex-at-all' is no job"),
        ("ffffffffffff", 1, "No job's id begins with ffffffffffff; `impasto jobs list` shows them."),
    ],
)
def test_what_begins_no_id_is_said(impasto_, finished, beginning, code, text):
    done = impasto_("jobs", "show", beginning)
    assert (done.returncode, done.stderr.startswith(f"impasto: {text}")) == (code, True), done.stderr


class Twins(Scripted):
    """Has two jobs whose ids begin alike, on pages of their own."""

    ids = ("c0ffee00-0000-4000-8000-000000000001", "c0ffee00-0000-4000-8000-000000000002")

    def ListJobs(self, request, context):  # noqa: N802 (the contract's name)
        page = int(request.page_token or 0)
        job = job_pb2.Job(name=f"jobs/{self.ids[page]}", state=job_pb2.Job.STATE_RUNNING)
        return stylizer_pb2.ListJobsResponse(jobs=[job], next_page_token="" if page else "1")


def test_the_jobs_that_an_ambiguous_beginning_could_mean_are_listed(impasto_):
    with running(Twins()) as server:
        done = impasto_("jobs", "show", "c0ffee", IMPASTO_SERVER=server.address)
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            "impasto: c0ffee is the beginning of 2 jobs:",
            *(f"  {id_}  running" for id_ in Twins.ids),
        ]
        assert Twins.ids[1] in impasto_("jobs", "show", Twins.ids[1], IMPASTO_SERVER=server.address).stdout


def test_steering_nothing_is_wrong_usage(impasto_):
    done = impasto_("jobs", "steer", "x")
    assert done.returncode == 2
    assert "--content-weight" in done.stderr


def test_the_server_introduces_itself(impasto_, server):
    shown = impasto_("info").stdout
    assert shown.startswith(f"Impasto {impasto.__version__} at {server.address}\n")
    for word in ("painterly", "original", "night-swirl", "device", "limits"):
        assert word in shown
    info = json.loads(impasto_("info", "--json").stdout)
    assert info["version"] == impasto.__version__
    assert info["gallery"][0]["image"]["name"].startswith("images/")


def test_the_gallery_is_listed(impasto_):
    assert "mist-ink" in impasto_("styles").stdout
    names = [json.loads(line)["name"] for line in impasto_("styles", "--json").stdout.splitlines()]
    assert "mist-ink" in names


def test_serve_hands_over_to_the_servers_own_command(impasto_):
    done = impasto_("serve", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: impasto serve [OPTIONS]")
    assert "--listen" in done.stdout
    assert impasto_("serve", "--no-such-option").returncode == 2


WITHOUT_TORCH = """
import sys
sys.path.insert(0, sys.argv[1])
from impasto import _local
_local.SERVER_NEEDS = ("impasto_server", "torch_that_is_not_there")
from impasto._cli import run
sys.exit(run(["serve"]))
"""


def test_serve_without_the_extra_says_what_to_install(variables, folder):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "."], capture_output=True, text=True, env=variables, cwd=folder
    )
    assert done.returncode == 1
    assert "torch_that_is_not_there is not installed: pip install 'impasto[server]'" in done.stderr


def test_help_and_version_load_neither_rich_nor_the_server(variables):
    code = "import sys; from impasto._cli import run; run(sys.argv[1:]); print(*sys.modules)"
    for option in ("--version", "--help"):
        done = subprocess.run(
            [sys.executable, "-c", code, option], capture_output=True, text=True, env=variables, check=True
        )
        assert {"torch", "numpy", "impasto_server"}.isdisjoint(done.stdout.split())


def test_an_unknown_command_is_wrong_usage(impasto_):
    done = impasto_("stylise")
    assert done.returncode == 2
    assert "No such command 'stylise'" in done.stderr


def test_the_demos_sheet_shows_every_painting_with_its_photo_and_style(photo):
    from impasto._cli._demo import CELL_PX, PAPER, Painting, compose_sheet

    red, green, blue = (Image.new("RGB", (90, 50), colour) for colour in ("red", "lime", "blue"))
    sheet = compose_sheet([Painting("chelsea", "Night", red, green, blue)] * 2)
    colours = {colour: count for count, colour in sheet.getcolors(1 << 20)}
    cell = CELL_PX[0] * CELL_PX[1]
    assert [colours[c] for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255))] == [2 * cell] * 3
    assert sheet.getpixel((2, 2)) == PAPER


def test_the_demos_photos_come_with_scikit_image():
    from impasto._cli._demo import PAINTINGS, load_photo

    assert [load_photo(name).mode for name, _ in PAINTINGS] == ["RGB", "RGB"]


def test_the_demo_without_scikit_image_says_what_to_install(monkeypatch, capsys):
    from impasto._cli import run

    monkeypatch.setitem(sys.modules, "skimage", None)
    assert run(["demo"]) == 1
    assert "pip install scikit-image" in capsys.readouterr().err


def test_a_timelapse_stays_small_however_long_the_job(tmp_path):
    from impasto._cli._timelapse import MOST_FRAMES, Timelapse

    film = Timelapse()
    for step in range(1000):
        film.add(Image.new("RGB", (8 if step < 500 else 16, 6), (step % 256, 0, 0)))
    assert len(film.frames) <= MOST_FRAMES
    film.write(tmp_path / "film.webp", Image.new("RGB", (16, 6), "blue"))
    with Image.open(tmp_path / "film.webp") as written:
        assert written.n_frames == len(film.frames) + 1
        assert written.size == (16, 6)
