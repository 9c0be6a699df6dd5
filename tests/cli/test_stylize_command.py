"""`impasto stylize`, from a folder with a photo to a folder with a painting."""

import json
import os
import signal
import subprocess

import pytest
from PIL import Image

import impasto
from impasto._cli._output import write_picture
from impasto.v1 import image_pb2
from tests.cli.conftest import opened

TINY = ("--size", 48, "--steps", 4)
LONG = ("--size", 64, "--steps", 9000)


@pytest.fixture(scope="module")
def client(server):
    """For what the commands leave on the server."""
    with impasto.Client(server.address) as client:
        yield client


def test_a_painting_appears_under_the_names_of_content_and_style(impasto_, folder):
    done = impasto_("stylize", "photo.png", "--style", "night-swirl", *TINY)
    assert (done.returncode, done.stdout) == (0, "photo-night-swirl.png\n")
    assert opened(folder / "photo-night-swirl.png").size == (48, 32)
    assert "step 4/4" in done.stderr
    assert "succeeded" in done.stderr
    assert "\x1b" not in done.stderr  # no terminal, no colour


@pytest.mark.parametrize(
    ("name", "format_name"), [("o.jpg", "JPEG"), ("o.webp", "WEBP"), ("o.TIF", "TIFF"), ("o.bmp", "BMP")]
)
def test_the_suffix_decides_the_format(impasto_, folder, name, format_name):
    assert impasto_("stylize", "photo.png", "--style", "mist-ink", "-o", name, *TINY).returncode == 0
    assert opened(folder / name).format == format_name


def test_the_server_is_asked_for_what_the_suffix_says(impasto_, client):
    for name, written, bits in (("o.tif", "TIFF", 16), ("o.png", "PNG", 16), ("o.jpg", "PNG", 8)):
        depth = ("--bits", 16) if bits == 16 else ()
        done = impasto_("stylize", "photo.png", "--style", "mist-ink", "-o", name, "--json", *depth, *TINY)
        spec = client.job(json.loads(done.stdout.splitlines()[-1])["job"]).message.spec
        asked = image_pb2.ImageFormat.Name(spec.result.format)
        assert (asked, spec.result.bits_per_channel) == (f"IMAGE_FORMAT_{written}", bits)


def test_the_servers_file_is_written_as_it_came_if_the_suffix_fits(tmp_path, photo, photo_png):
    for suffix, data in ((".png", photo_png), (".tif", b"II*\0 anything"), (".tiff", b"MM\0* anything")):
        write_picture(data, tmp_path / f"kept{suffix}")
        assert (tmp_path / f"kept{suffix}").read_bytes() == data
    write_picture(photo_png, tmp_path / "other.tif")
    assert opened(tmp_path / "other.tif").format == "TIFF"
    assert opened(tmp_path / "other.tif").tobytes() == photo.tobytes()


def test_full_size_is_the_contents_own(impasto_, folder, photo):
    photo.resize((51, 70)).save(folder / "tall.png")
    done = impasto_("stylize", "tall.png", "--style", "mist-ink", "--size", "full", "--steps", 3)
    assert done.returncode == 0, done.stderr
    assert opened(folder / "tall-mist-ink.png").size == (51, 70)


def test_jpeg_has_no_alpha_so_it_is_laid_over_white(impasto_, folder, photo):
    clear = photo.copy()
    clear.putalpha(0)
    clear.save(folder / "clear.png")
    assert impasto_("stylize", "clear.png", "--style", "mist-ink", "-o", "c.jpg", *TINY).returncode == 0
    assert opened(folder / "c.jpg").convert("L").getextrema()[0] > 250
    assert impasto_("stylize", "clear.png", "--style", "mist-ink", "-o", "c.png", *TINY).returncode == 0
    assert opened(folder / "c.png").getchannel("A").getextrema() == (0, 0)


def test_json_tells_each_event_and_what_was_written(impasto_, folder):
    done = impasto_("stylize", "photo.png", "--style", "mist-ink", "--json", *TINY)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [line["type"] for line in lines]
    assert kinds[:2] == ["state", "state"]
    assert kinds[-3:] == ["result", "state", "saved"]
    step = next(line for line in lines if line["type"] == "progress")
    assert {"sequence", "time", "step", "steps", "content", "style", "tv", "total", "seconds_left"} <= set(step)
    assert step["total"] == pytest.approx(step["content"] + step["style"] + step["tv"])
    assert lines[-2]["state"] == "succeeded"
    assert lines[-1]["path"] == "photo-mist-ink.png"


def test_options_reach_the_job(impasto_):
    done = impasto_(
        "stylize", "photo.png", "--style", "mist-ink:3", "--style", "night-swirl", "--recipe", "classic",
        "--height", 40, "--width", 56, "--steps", 3, "--content-weight", 2, "--style-weight", 9, "--tv-weight", 0,
        "--learning-rate", 0.1, "--style-layers", "relu1_1, relu2_1", "--content-layers", "relu3_1",
        "--init", "noise", "--seed", 5, "--weights", "original", "--device", "cpu", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    saved = json.loads(done.stdout.splitlines()[-1])
    assert saved["path"] == "photo-mist-ink-night-swirl.png"
    job = json.loads(impasto_("jobs", "show", saved["job"], "--json").stdout)
    assert (job["recipe"], job["steps"], job["device"]) == ("classic", 3, "cpu")


def test_frames_and_a_timelapse_are_kept(impasto_, folder):
    done = impasto_(
        "stylize", "photo.png", "--style", "mist-ink", "--size", 64, "--steps", 60,
        "--save-frames", "frames", "--timelapse", "film.gif",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    frames = sorted((folder / "frames").iterdir())
    assert frames[0].name.startswith("step-0000")
    assert opened(frames[0]).format == "JPEG"
    with Image.open(folder / "film.gif") as film:
        assert film.n_frames >= 2
        assert film.info["loop"] == 0
    assert done.stdout.splitlines() == ["photo-mist-ink.png", "film.gif"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("-o", "out.xyz"), "out.xyz has no suffix that says how to write it; known are .png, .jpg"),
        (("-o", "out"), "out has no suffix"),
        (("-o", "photo.png"), "photo.png is one of the pictures to read; it is never overwritten"),
        (("-o", "no/out.png"), "there is no folder no"),
        (("--timelapse", "film.mp4"), "film.mp4 has no suffix that says how to write it; known are .gif, .webp"),
        (("--style-layers", ","), "name at least one layer"),
        (("--init", "white"), "'white' is not one of"),
        (("--steps", "many"), "'many' is not a valid integer"),
        (("--size", "huge"), "'huge' is neither a number of pixels nor `full`"),
        (("--bits", 12), "'12' is not one of '8', '16'"),
        (("--bits", 16, "-o", "out.jpg"), "out.jpg can't hold 16 bits a channel; name it .png or .tif"),
    ],
)
def test_wrong_usage_is_refused_before_any_work(impasto_, arguments, text):
    # Nobody listens there: work would fail with 1.
    done = impasto_("stylize", "photo.png", "--style", "mist-ink", *arguments, IMPASTO_SERVER="127.0.0.1:9")
    assert done.returncode == 2
    assert text in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--steps", 0), "steps is 0"),
        (("--recipe", "painterley"), "Did you mean 'painterly'?"),
        (("--style-layers", "relu9_9"), "relu9_9"),
        (("--weights", "orignal"), "Did you mean 'original'?"),
        (("--device", "cuda:77"), "cuda:77"),
        (("--style", "mist-imk"), "Did you mean 'mist-ink'?"),
        (("--height", 40), "width_px"),
        (("--tile-px", 100), "a multiple of 16"),
    ],
)
def test_a_value_that_the_server_refuses_is_wrong_usage_too(impasto_, arguments, text):
    done = impasto_("stylize", "photo.png", "--style", "mist-ink", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("impasto: ")
    assert text in done.stderr


def test_pictures_that_are_none_are_refused_by_name(impasto_, folder):
    (folder / "words.txt").write_text("no picture")
    (folder / "empty.png").touch()
    for content, style, text in (
        ("no.png", "mist-ink", "There is no file no.png"),
        ("words.txt", "mist-ink", "words.txt: The file is not an image"),
        ("photo.png", "words.txt", "words.txt: The file is not an image"),
        ("empty.png", "mist-ink", "empty.png is empty"),
        ("photo.png", "styles/no.jpg", "There is no file styles/no.jpg"),
    ):
        done = impasto_("stylize", content, "--style", style)
        assert done.returncode == 1
        assert done.stderr.startswith(f"impasto: {text}"), done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["empty.png", "photo.png", "words.txt"]


def test_a_server_that_is_not_there_is_named(impasto_):
    done = impasto_("stylize", "photo.png", "--style", "mist-ink", "--server", "127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("impasto: No Impasto server answers at 127.0.0.1:9. Check that it runs")
    assert "onnection refused" in done.stderr.splitlines()[1], "what gRPC said, on a line of its own"


def test_the_log_of_a_private_server_that_does_not_start_is_shown(impasto_, folder, variables):
    broken = folder / "broken"
    broken.mkdir()
    (broken / "impasto_server.py").write_text("raise SystemExit('the GPU is on fire')")
    path = os.pathsep.join([str(broken), variables.get("PYTHONPATH", "")])
    state = str(folder / "state")
    done = impasto_("info", "--server", "local", PYTHONPATH=path, IMPASTO_STATE_DIR=state)
    assert done.returncode == 1
    first, *log = done.stderr.splitlines()
    assert first == "impasto: The private local server stopped while it was starting (exit code 1)."
    assert log[:2] == ["Its log ends with:", "  the GPU is on fire"]


def until_step(process: "subprocess.Popen[str]") -> str:
    """Reads along until the first step; returns the job's place in the stream."""
    for line in process.stdout:
        if json.loads(line)["type"] == "progress":
            return line
    raise AssertionError(process.stderr.read())


def test_an_interrupt_cancels_the_job_and_keeps_the_picture_so_far(start, impasto_, folder):
    process = start("stylize", "photo.png", "--style", "mist-ink", "--json", *LONG)
    until_step(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the picture so far is in photo-mist-ink-partial.png" in err
    assert "Traceback" not in err
    assert opened(folder / "photo-mist-ink-partial.png").size == (64, 43)
    assert not (folder / "photo-mist-ink.png").exists()
    saved = json.loads(out.splitlines()[-1])
    assert json.loads(impasto_("jobs", "show", saved["job"], "--json").stdout)["state"] == "cancelled"


def test_a_job_that_somebody_else_cancels_fails_but_its_picture_is_kept(start, impasto_, folder):
    process = start("stylize", "photo.png", "--style", "mist-ink", "--json", *LONG)
    until_step(process)
    job = json.loads(impasto_("jobs", "list", "--limit", 1, "--json").stdout)
    impasto_("jobs", "cancel", job["id"])
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "was cancelled; its last picture is kept in photo-mist-ink-partial.png" in err
    assert opened(folder / "photo-mist-ink-partial.png").size == (64, 43)


def newest_state(impasto_):
    return json.loads(impasto_("jobs", "list", "--limit", 1, "--json").stdout)["state"]


def test_a_second_interrupt_leaves_at_once(start, impasto_):
    process = start("stylize", "photo.png", "--style", "mist-ink", "--json", *LONG)
    until_step(process)
    process.send_signal(signal.SIGINT)
    process.stderr.readline()  # it says that it is stopping
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert newest_state(impasto_) in ("cancelling", "cancelled")


def test_a_reader_that_goes_away_is_no_error_and_takes_its_job_along(start, impasto_):
    process = start("stylize", "photo.png", "--style", "mist-ink", "--json", *LONG)
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=60) == 1
    assert err == ""
    assert newest_state(impasto_) in ("cancelling", "cancelled")


@pytest.mark.skipif(os.name != "posix", reason="terminals")
def test_a_terminal_sees_a_live_bar(start, folder):
    import pty

    ours, theirs = pty.openpty()
    process = start("stylize", "photo.png", "--style", "mist-ink", "--size", 64, "--steps", 90, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while data := os.read(ours, 4096):
            seen += data
    except OSError:  # the terminal is gone with its last user
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0
    text = seen.decode()
    assert "90/90 steps" in text
    assert "scale " in text
    assert "steps/s" in text
    assert "Traceback" not in text
