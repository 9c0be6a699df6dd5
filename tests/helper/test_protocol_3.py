"""What protocol 3 has beyond the second: words for painters, mixtures, rates, sizes, previews for a screen."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from impasto import Client
from impasto._helper import _rates
from impasto._helper._notes import note_of_painting, profile_of
from impasto._helper._pixels import Raw, srgb_pixels
from impasto._helper._sentences import LONGEST
from tests.colour_profiles import red_and_blue_swapped
from tests.helper.host import Host
from tests.server_process import ServerProcess
from tools.gimp.provision import REPOSITORY

WIDTH, HEIGHT = 96, 64
PHOTO = str(REPOSITORY / "docs/images/sheet.jpg")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with Host(XDG_CACHE_HOME=str(tmp_path / "cache"), XDG_STATE_HOME=str(tmp_path / "state")) as host:
        yield host


@pytest.fixture
def photo_pixels(photo: Any) -> bytes:
    pixels: bytes = photo.convert("RGB").tobytes()
    return pixels


def paint(host: Host, server: str, parts: dict[str, bytes], **fields: Any) -> None:
    request = {
        "server": server,
        "content": {"width": WIDTH, "height": HEIGHT, "channels": 3},
        "style": {"gallery": "night-swirl"},
        "recipe": "draft",
        "size_px": 64,
        "steps": 2,
    }
    host.ask(7, "paint", parts, **(request | fields))


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("server = 'nowhere'", "'nowhere' (from {}) is no server's address"),
        ("server =", "{} is not valid TOML"),
        ("server = 5", "In {}, server has to be a string: HOST:PORT."),
    ],
)
def test_a_broken_configuration_is_no_reason_not_to_answer(tmp_path: Path, written: str, sentence: str) -> None:
    path = tmp_path / "impasto" / "config.toml"
    path.parent.mkdir()
    path.write_text(written)
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "IMPASTO_SERVER": ""}
    with Host(**environment) as host:
        host.ask(1, "hello")
        hello, _ = host.read()
        assert (hello["event"], hello["default_server"]) == ("hello", "")
        error = hello["configuration_error"]
        assert error["sentence"].startswith(sentence.format(path)), error
        assert set(error) == {"sentence", "details"}
        host.ask(2, "server")
        failed, _ = host.read()
        assert (failed["event"], failed["kind"], failed["sentence"]) == (
            "failed",
            "ConfigurationError",
            error["sentence"],
        )
        path.unlink()  # mended, or gone: the same helper goes on
        host.ask(3, "hello")
        hello, _ = host.read()
        assert (hello["default_server"], "configuration_error" in hello) == ("local", False)


def test_a_server_that_is_not_there_is_a_short_sentence_and_what_grpc_said_is_in_the_details() -> None:
    with Host() as host:
        host.ask(1, "server", server="127.0.0.1:9")
        head, _ = host.read()
    assert head["kind"] == "ServerUnavailableError"
    assert head["sentence"] == (
        "No Impasto server answers at 127.0.0.1:9. Check that it runs and that the address is right."
    )
    assert "onnection refused" in head["details"]
    assert "impasto serve" in head["details"], "the command line's advice, too"


def test_a_private_server_that_dies_at_its_start_has_its_log_in_the_details(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "impasto_server.py").write_text("raise SystemExit('the GPU is on fire')")
    path = os.pathsep.join([str(broken), os.environ.get("PYTHONPATH", "")])
    with Host(PYTHONPATH=path, IMPASTO_STATE_DIR=str(tmp_path / "private")) as host:
        host.ask(1, "server", server="local")
        head, _ = host.read()
    assert head["kind"] == "LocalServerError"
    assert head["sentence"] == "Impasto on this computer stopped while it was starting (exit code 1)."
    assert "the GPU is on fire" in head["details"]
    assert len(head["sentence"]) <= LONGEST


def test_a_recipe_says_its_own_size(server: ServerProcess, host: Host) -> None:
    host.ask(1, "server", server=server.address)
    head, _ = host.read()
    sizes = {recipe["name"]: recipe["size_px"] for recipe in head["recipes"]}
    assert sizes == {"painterly": 512, "classic": 450, "fast-classic": 450, "draft": 512}


def test_classic_is_painted_at_its_own_size_and_the_layers_proportions(server: ServerProcess, host: Host) -> None:
    parts = {"content": bytes(600 * 300 * 3)}
    content = {"width": 600, "height": 300, "channels": 3}
    paint(host, server.address, parts, content=content, recipe="classic", size_px=0, steps=1)
    job, _ = host.end("job", "failed")
    assert (job["size_px"], job["server"]) == (450, server.address)
    done, _ = host.end("done", "failed")
    with Client(server.address) as client:
        result = client.job(done["job"]).result_event
        assert result
        assert (result.stored.width_px, result.stored.height_px) == (450, 225)


def test_a_mixture_may_be_of_all_that_a_style_can_be(
    server: ServerProcess, host: Host, photo_pixels: bytes, photo_path: Path
) -> None:
    mixture = [
        {"weight": 0.7, "gallery": "night-swirl"},
        {"weight": 0.2, "file": str(photo_path)},
        {"weight": 0.3, "file": str(photo_path), "crop": [0.25, 0, 0.5, 1]},
        {"weight": 0.1, "width": 8, "height": 4, "channels": 4, "part": "leaf"},
        {"gallery": "mist-ink"},
    ]
    parts = {
        "leaf": bytes(range(128)),
        "leaf_profile": red_and_blue_swapped(),
        "content": photo_pixels,
    }
    paint(host, server.address, parts, style={"mixture": mixture})
    job, _ = host.end("job", "failed")
    assert job.get("title") == "Night over the wheat + Pine above the mist", job
    done, _ = host.end("done", "failed")
    assert done["event"] == "done", done
    with Client(server.address) as client:
        styles = client.job(done["job"]).message.spec.styles
        assert [style.weight for style in styles] == [0.7, 0.2, 0.3, 0.1, 1.0]
        assert [style.gallery_style for style in styles] == ["night-swirl", "", "", "", "mist-ink"]
        assert client.download(styles[1].image) == photo_path.read_bytes()
        part = Image.open(io.BytesIO(client.download(styles[2].image)))
        photo = Image.open(photo_path)
        middle = photo.crop((photo.width // 4, 0, photo.width * 3 // 4, photo.height))
        assert (part.size, part.tobytes()) == (middle.size, middle.tobytes())
        leaf = Image.open(io.BytesIO(client.download(styles[3].image)))
        assert (leaf.size, leaf.tobytes(), leaf.info["icc_profile"]) == (
            (8, 4),
            parts["leaf"],
            parts["leaf_profile"],
        )


@pytest.mark.parametrize(
    ("mixture", "sentence"),
    [
        ([], "A mixture is a list of 1 to 16 styles."),
        ("night-swirl", "A mixture is a list of 1 to 16 styles."),
        ([{"gallery": "mist-ink", "weight": 0}], "A style's weight has to be above 0"),
        ([{"weight": 1}], "No style was chosen"),
        ([{"width": 2, "height": 2, "channels": 3, "part": "leaf"}], "The pixels of `leaf` are missing."),
        ([{"file": PHOTO, "crop": [0.5, 0, 0.6, 1]}], "crop is [0.5, 0, 0.6, 1]; [x, y, width, height] from 0 to 1"),
        ([{"file": PHOTO, "crop": "left"}], "crop is 'left'; [x, y, width, height] from 0 to 1"),
        ([{"gallery": "mist-ink"}, {"gallery": "mist-inc"}], "There is no style of the gallery 'mist-inc'."),
    ],
)
def test_a_mixture_that_makes_no_sense_is_a_sentence(
    server: ServerProcess, host: Host, photo_pixels: bytes, mixture: Any, sentence: str
) -> None:
    paint(host, server.address, {"content": photo_pixels}, style={"mixture": mixture})
    head, _ = host.end("failed", "done")
    assert head.get("sentence", "").startswith(sentence), head


def test_a_painting_goes_on_from_another_with_another_style(
    server: ServerProcess, host: Host, photo_pixels: bytes
) -> None:
    paint(host, server.address, {"content": photo_pixels})
    first, _ = host.end("done", "failed")
    style = {"gallery": "mist-ink"}
    paint(host, server.address, {"content": photo_pixels}, continue_from=first["job"], style=style)
    second, _ = host.end("done", "failed")
    with Client(server.address) as client:
        spec = client.job(second["job"]).message.spec
    assert (spec.continue_from, spec.styles[0].gallery_style) == (first["job"], "mist-ink")
    paint(host, server.address, {"content": photo_pixels}, continue_from="11111111-2222-4333-8444-555555555555")
    head, _ = host.end("failed", "done")
    assert head["kind"] == "JobNotFoundError"


def test_a_painting_that_came_to_its_end_teaches_how_long_one_takes(
    server: ServerProcess, host: Host, photo: Any, tmp_path: Path
) -> None:
    def rates() -> dict[str, float]:
        host.ask(1, "server", server=server.address)
        head, _ = host.read()
        found: dict[str, float] = head["rates"]
        return found

    assert rates() == {}
    wide = photo.resize((288, 192)).convert("RGB")
    content = {"width": 288, "height": 192, "channels": 3}
    parts = {"content": wide.tobytes()}
    paint(host, server.address, parts, content=content, size_px=288, steps=5)
    done, _ = host.end("done", "failed")
    rate = rates()["draft"]
    with Client(server.address) as client:
        job = client.job(done["job"])
        assert job.end_time
        assert job.start_time
        seconds = (job.end_time - job.start_time).total_seconds()
    # Twenty steps are draft's own.
    assert rate == pytest.approx(seconds * 20 / 5 / (288 * 192 / 1e6), rel=0.01)
    kept = tmp_path / "state" / "impasto" / "rates.json"
    assert json.loads(kept.read_text()) == {server.address: {"draft": rate}}
    paint(host, server.address, parts, content=content, size_px=288, steps=5, continue_from=done["job"])
    host.end("done", "failed")
    paint(host, server.address, {"content": photo.convert("RGB").tobytes()})  # too small to say anything
    host.end("done", "failed")
    paint(host, server.address, parts, content=content, size_px=288, steps=5000)
    host.end("progress", "failed")
    host.ask(8, "keep", painting=7)
    host.end("done", "failed")
    assert rates() == {"draft": rate}
    kept.write_text("[")
    assert rates() == {}


def test_rates_of_the_servers_that_were_used_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rates, "rates_path", lambda: tmp_path / "rates.json")
    monkeypatch.setattr(_rates, "MOST_SERVERS", 2)
    for server in ("a:1", "b:1", "a:1", "c:1"):
        _rates.learn(server, "draft", 4.0, 2.0)
    _rates.learn("a:1", "classic", 9.0, 1.0)
    assert _rates.rates("a:1") == {"draft": 2.0, "classic": 9.0}
    assert _rates.rates("b:1") == {}


def test_previews_are_for_a_screen_whatever_the_contents_profile(server: ServerProcess, host: Host) -> None:
    """Orange numbers that mean blue: previews carry no profile, so nobody but the helper can know."""
    parts = {"content": bytes((230, 110, 20)) * (WIDTH * HEIGHT), "content_profile": red_and_blue_swapped()}
    fields = {"preview_px": 64, "style": {"width": 96, "height": 64, "channels": 3}}
    paint(host, server.address, parts | {"style": parts["content"]}, strength=0, steps=30, **fields)
    head, preview = host.end("preview", "failed")
    assert mean(preview["pixels"])[2] > mean(preview["pixels"])[0] + 50, head
    job, _ = host.end("done", "failed")
    # Who follows it later knows it, too.
    host.ask(9, "thumbnails", server=server.address, jobs=[job["job"]], size_px=64)
    _, small = host.end("thumbnail", "failed")
    assert mean(small["pixels"])[2] > mean(small["pixels"])[0] + 50


def mean(pixels: bytes) -> tuple[float, float, float]:
    """Of red, green and blue."""
    red, green, blue = (sum(pixels[channel::3]) / (len(pixels) // 3) for channel in range(3))
    return red, green, blue


def test_numbers_with_a_profile_that_cannot_be_read_are_taken_as_they_are() -> None:
    data = Raw(2, 1, 3, bytes((1, 2, 3, 4, 5, 6))).png(2)
    assert srgb_pixels(data, b"no profile") == (2, 1, bytes((1, 2, 3, 4, 5, 6)))


def test_a_profile_is_noted_with_the_job_unless_it_is_a_printers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from impasto._helper import _notes

    monkeypatch.setattr(_notes, "notes_folder", lambda: tmp_path / "notes")
    for name, profile in (("jobs/1", b"profile"), ("jobs/2", bytes(1 << 20)), ("jobs/3", b"")):
        _notes.keep_note(name, note_of_painting(Raw(1, 1, 3, bytes(3), profile), {}))
    assert [profile_of(f"jobs/{number}") for number in (1, 2, 3, 4)] == [b"profile", b"", b"", b""]
