"""A host's session with the real helper and a real server."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from impasto import Client, JobState
from impasto._helper._requests import Sliders
from impasto.v1 import job_pb2
from tests.helper.host import Host
from tests.server_process import ServerProcess

WIDTH, HEIGHT = 96, 64


@pytest.fixture
def photo_pixels(photo: Any) -> bytes:
    pixels: bytes = photo.convert("RGB").tobytes()
    return pixels


def paint(host: Host, painter: ServerProcess, pixels: bytes, **fields: Any) -> None:
    request = {
        "server": painter.address,
        "content": {"width": WIDTH, "height": HEIGHT, "channels": 3},
        "style": {"gallery": "night-swirl"},
        "recipe": "draft",
        "size_px": 64,
        "steps": 6,
        "preview_px": 48,
    }
    host.ask(7, "paint", {"content": pixels}, **(request | fields))


def test_it_says_who_it_is() -> None:
    with Host() as host:
        host.ask(1, "hello")
        head, _ = host.read()
    assert head["protocol"] == 3
    assert head["id"] == 1
    assert head["default_server"]


def test_it_ends_when_stdin_does(server: ServerProcess) -> None:
    with Host() as host:
        host.ask(1, "hello")
        host.read()
        started = time.monotonic()
        host.stdin.close()
        assert host.process.wait(5) == 0
        assert time.monotonic() - started < 1


def test_a_painting_from_upload_to_pixels(server: ServerProcess, photo_pixels: bytes) -> None:
    with Host() as host:
        paint(host, server, photo_pixels)
        frames = list(host.until("done", "failed"))
    events = [head["event"] for head, _ in frames]
    stages = [head["stage"] for head, _ in frames if head["event"] == "stage"]
    assert [stage for stage in stages if stage != "waiting"] == ["connecting", "uploading", "starting", "fetching"]
    steps = [head["step"] for head, _ in frames if head["event"] == "progress"]
    assert steps[-1] == 6  # quick ones are reported together
    assert steps == sorted(set(steps))
    assert "preview" in events
    (job,) = [head for head, _ in frames if head["event"] == "job"]
    assert job["title"] == "Night over the wheat"
    done, parts = frames[-1]
    assert done["event"] == "done", done
    assert (done["width"], done["height"], done["depth"], done["partial"]) == (WIDTH, HEIGHT, 8, False)
    assert len(parts["pixels"]) == WIDTH * HEIGHT * 3
    assert all(head["id"] == 7 for head, _ in frames)


def test_keep_gives_the_picture_so_far(server: ServerProcess, photo_pixels: bytes) -> None:
    with Host() as host:
        paint(host, server, photo_pixels, steps=2000)
        host.end("progress")
        host.ask(8, "keep", painting=7)
        done, parts = host.end("done", "failed")
    assert done["partial"] is True
    assert len(parts["pixels"]) == WIDTH * HEIGHT * 3


def test_cancel_ends_the_job_and_brings_nothing(server: ServerProcess, photo_pixels: bytes) -> None:
    with Host() as host:
        paint(host, server, photo_pixels, steps=2000)
        job, _ = host.end("job")
        host.end("progress")
        host.ask(8, "cancel", painting=7)
        head, _ = host.end("cancelled", "done", "failed")
        assert head["event"] == "cancelled"
        # A dialog that is closed with it: the helper stays until the server has heard.
        host.stdin.close()
        assert host.process.wait(10) == 0
    with Client(server.address) as client:
        assert client.job(job["name"]).state in (JobState.CANCELLED, JobState.CANCELLING)


def test_steering_reaches_the_running_job(server: ServerProcess, photo_pixels: bytes) -> None:
    with Host() as host:
        paint(host, server, photo_pixels, steps=2000)
        host.end("progress")
        host.ask(8, "steer", painting=7, strength=75, smoothness=25)
        head, _ = host.end("steered", "failed", "done")
        assert (head["event"], head["id"], head["strength"], head["smoothness"]) == ("steered", 7, 75, 25)
        host.ask(9, "cancel", painting=7)
        host.end("cancelled")


def test_the_job_goes_on_when_the_host_dies(server: ServerProcess, photo_pixels: bytes) -> None:
    with Host() as host:
        paint(host, server, photo_pixels, steps=30)
        job, _ = host.end("job")
        host.end("progress")
        host.stdin.close()
        host.process.wait(5)
    with Host() as host:
        with Client(server.address) as client:
            assert client.job(job["name"]).result(60).size == (64, 43)
        host.ask(1, "jobs", server=server.address)
        head, _ = host.read()
        (entry,) = [entry for entry in head["jobs"] if entry["name"] == job["name"]]
        assert entry["title"] == "Night over the wheat"
        host.ask(2, "fetch", server=server.address, job=job["name"])
        done, parts = host.read()
        host.ask(3, "thumbnails", server=server.address, jobs=[job["name"]], size_px=32)
        (look, pixels), (end, _) = host.read(), host.read()
        assert (look["name"], look["width"], len(pixels["pixels"])) == (job["name"], 32, 32 * look["height"] * 3)
        assert end["event"] == "end"
    assert (done["width"], done["height"]) == (WIDTH, HEIGHT)
    assert len(parts["pixels"]) == WIDTH * HEIGHT * 4
    assert set(parts["pixels"][3::4]) == {255}


def test_a_hosts_note_comes_back_with_the_job_and_so_does_the_size(
    server: ServerProcess, photo_pixels: bytes, tmp_path: Path
) -> None:
    note = {"place": [30, 20], "image": [400, 300]}
    with Host(XDG_STATE_HOME=str(tmp_path)) as host:
        paint(host, server, photo_pixels, note=note, steps=1)
        done, _ = host.end("done", "failed")
    with Host(XDG_STATE_HOME=str(tmp_path)) as host:
        host.ask(1, "fetch", server=server.address, job=done["job"])
        fetched, _ = host.read()
        assert fetched["note"] == note
        assert (fetched["width"], fetched["height"]) == (WIDTH, HEIGHT)
    with Host(XDG_STATE_HOME=str(tmp_path / "elsewhere")) as host:
        host.ask(1, "fetch", server=server.address, job=done["job"])
        fetched, _ = host.read()
        assert fetched["note"] == {}
        # What the server has, for nobody here knows what it was painted from.
        assert (fetched["width"], fetched["height"]) == (64, 43)
        host.ask(2, "fetch", server=server.address, job=done["job"], fit_width=WIDTH, fit_height=HEIGHT)
        fetched, _ = host.read()
        assert (fetched["width"], fetched["height"]) == (WIDTH, HEIGHT)


def test_sixteen_bits_come_as_the_servers_own_file(server: ServerProcess, photo_pixels: bytes) -> None:
    with Host() as host:
        paint(host, server, photo_pixels, depth=16, steps=2)
        done, parts = host.end("done", "failed")
        assert (done["depth"], done["width"], done["height"]) == (16, WIDTH, HEIGHT)
        # Width, height, bits, colour type: 2 is RGB (PNG specification, 11.2.2).
        assert struct.unpack(">IIBB", parts["file"][16:26]) == (64, 43, 16, 2)
        host.ask(8, "fetch", server=server.address, job=done["job"], depth=16)
        fetched, fetched_parts = host.read()
    assert fetched["depth"] == 16
    assert fetched_parts["file"] == parts["file"]


def test_every_wish_reaches_the_server(server: ServerProcess, photo_pixels: bytes) -> None:
    with Host() as host:
        wishes = {"steps": 2, "seed": 7, "initial_image": "noise", "learning_rate": 0.5, "weights": "original"}
        paint(host, server, photo_pixels, **wishes)
        done, _ = host.end("done", "failed")
    with Client(server.address) as client:
        parameters = client.job(done["job"]).message.spec.parameters
    assert (parameters.steps, parameters.seed, parameters.learning_rate) == (2, 7, 0.5)
    assert parameters.initial_image == job_pb2.INITIAL_IMAGE_NOISE
    assert parameters.weights == "original"


def test_server_and_gallery(server: ServerProcess) -> None:
    with Host() as host:
        host.ask(1, "server", server=server.address)
        head, _ = host.read()
        assert head["recipes"][0]["name"] == "painterly"
        assert head["weights"][0]["name"] == "original"
        assert 0 < head["round_trip_ms"] < 5000
        host.ask(2, "thumbnails", server=server.address, size_px=64)
        frames = list(host.until("end", "failed"))
    assert [entry["name"] for entry in head["gallery"]] == [frame["name"] for frame, _ in frames[:-1]]
    assert all(len(parts["pixels"]) == frame["width"] * frame["height"] * 3 for frame, parts in frames[:-1])


def test_an_invitation_that_was_answered_is_kept_and_its_address_is_enough(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "house", "--tls") as house, Host(XDG_CONFIG_HOME=str(tmp_path)) as host:
        host.ask(1, "server", server=house.address)
        head, _ = host.read()
        assert (head["event"], "invitation" in head["sentence"]) == ("failed", True)
        host.ask(2, "server", server=house.invite("anna"))
        head, _ = host.read()
        assert (head["event"], head["address"]) == ("server", house.address)
        host.ask(3, "server", server=house.address)
        head, _ = host.read()
        assert head["event"] == "server"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"style": {"gallery": "nihgt-swirl"}}, "night-swirl"),
        ({"style": {}}, "No style was chosen: take one from the gallery, a file or a layer."),
        ({"style": {"file": "/no/such/file.png"}}, "There is no file /no/such/file.png."),
        ({"initial_image": "sketch"}, "initial_image can be content or noise, not 'sketch'."),
        ({"depth": 12}, "depth is 12; 8 or 16 was expected."),
        ({"note": [1]}, "note is [1]; an object was expected."),
        ({"recipe": "oil"}, "The server has no recipe 'oil'; it has painterly, "),
        ({"strength": 101}, "strength is 101; a number from 0 to 100 was expected."),
        ({"content": {"width": 95, "height": 64, "channels": 3}}, "bytes came."),
        ({"server": "127.0.0.1:9"}, "127.0.0.1:9"),
        ({"server": "http://127.0.0.1:9"}, "Leave http:// out."),
    ],
)
def test_a_mistake_is_a_sentence(
    server: ServerProcess, photo_pixels: bytes, fields: dict[str, Any], sentence: str
) -> None:
    with Host() as host:
        paint(host, server, photo_pixels, **fields)
        head, _ = host.end("failed", "done")
    assert sentence in head.get("sentence", ""), head


def test_what_is_no_frame_ends_the_conversation() -> None:
    with Host() as host:
        host.send(b"GET / HTTP/1.1\n")
        head, _ = host.read()
        assert head["sentence"] == "A line of JSON was expected, not b'GET / HTTP/1.1'."
        assert host.process.wait(5) == 2


def test_an_unknown_request_is_answered() -> None:
    with Host() as host:
        host.ask(1, "sing")
        head, _ = host.read()
    assert head["sentence"] == "This helper (protocol 3) does not know the request 'sing'."


def test_nothing_else_gets_onto_stdout() -> None:
    code = "import os, impasto._helper._servers as s; s.Client = lambda a: os.write(1, b'oops') and print('oops');"
    code += "import impasto._helper as h; h.serve_host()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=b'{"id":1,"ask":"jobs"}\n{"id":2,"ask":"hello"}\n',
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert all(json.loads(line) for line in done.stdout.splitlines())
    assert b"oops" not in done.stdout


def test_sliders_in_the_middle_are_the_recipes_own() -> None:
    defaults = {"style_weight": "20.0", "tv_weight": "0.1"}
    assert Sliders().weights(defaults) == {"style_weight": 20.0, "tv_weight": 0.1}
    assert Sliders(100, 0).weights(defaults) == {"style_weight": 320.0, "tv_weight": pytest.approx(0.1 / 16)}


def test_a_style_file_is_never_taken_for_a_gallery_name(
    server: ServerProcess, photo_pixels: bytes, photo_path: Path
) -> None:
    with Host() as host:
        paint(host, server, photo_pixels, style={"file": str(photo_path)}, steps=1)
        head, _ = host.end("done", "failed")
    assert head["event"] == "done", head
