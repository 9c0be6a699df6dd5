"""A server's jobs as a host sees them: pages, small pictures, following one that exists already."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from impasto import Client, JobState
from impasto._helper import _thumbnails
from tests.helper.host import Host
from tests.proxy import Proxy
from tests.server_process import ServerProcess

TINY: dict[str, Any] = {"recipe": "draft", "size_px": 64, "steps": 2}
LONG: dict[str, Any] = {"recipe": "draft", "size_px": 64, "steps": 2000}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server without a past."""
    with ServerProcess(tmp_path / "house") as process:
        yield process


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """With folders of its own."""
    with Host(XDG_CACHE_HOME=str(tmp_path / "cache"), XDG_STATE_HOME=str(tmp_path / "state")) as host:
        yield host


def answer(host: Host, question: str, **fields: Any) -> dict[str, Any]:
    host.ask(1, question, **fields)
    return host.read()[0]


def thumbnails(host: Host, **fields: Any) -> list[tuple[str, int, int]]:
    host.ask(1, "thumbnails", **fields)
    frames = list(host.until("end", "failed"))
    assert frames[-1][0]["event"] == "end", frames[-1][0]
    for head, parts in frames[:-1]:
        assert len(parts["pixels"]) == head["width"] * head["height"] * 3
    return [(head["name"], head["width"], head["height"]) for head, _ in frames[:-1]]


def test_pages_hold_every_job_once_the_newest_first(house: ServerProcess, host: Host, photo: Any) -> None:
    with Client(house.address) as client:
        nothing = client.submit(photo, "mist-ink", device="cpu", **LONG)
        waiting = client.submit(photo, "mist-ink", **LONG)
        waiting.cancel()  # before its first step: nothing to be seen
        nothing.cancel()
        names = []
        for _ in range(3):
            job = client.submit(photo, "mist-ink", **TINY)
            job.result(60)
            names.insert(0, job.name)
        running = client.submit(photo, {"mist-ink": 1, "night-swirl": 2}, **LONG)
        next(event for event in running.watch() if event.sequence > 2)
        queued = client.submit(photo, "mist-ink", **LONG)
        names = [queued.name, running.name, *names]
        seen: list[dict[str, Any]] = []
        token = ""
        while True:
            page = answer(host, "jobs", server=house.address, page_size=2, page_token=token)
            assert len(page["jobs"]) <= 2
            seen += page["jobs"]
            if not (token := page["next_page_token"]):
                break
        listed = [job["name"] for job in seen]
        kept = [nothing.name] if nothing.refresh().result_event else []
        assert listed == names + kept
        assert [job["state"] for job in seen[:3]] == ["queued", "running", "succeeded"]
        assert (seen[1]["title"], seen[1]["style"]) == ("Pine above the mist + Night over the wheat", "")
        assert (seen[1]["width"], seen[1]["steps"], seen[2]["step"], seen[2]["width"]) == (0, 2000, 2, 64)
        assert seen[1]["seconds_left"] > 0 == seen[2]["seconds_left"]
        assert 0 < seen[2]["created"] <= seen[2]["ended"]
        running.cancel()
        queued.cancel()


def test_a_page_has_twenty_jobs_if_nobody_says_otherwise(house: ServerProcess, host: Host, photo: Any) -> None:
    with Client(house.address) as client:
        for _ in range(22):
            client.submit(photo, "mist-ink", **LONG)
        page = answer(host, "jobs", server=house.address)
        assert (len(page["jobs"]), bool(page["next_page_token"])) == (20, True)
        assert page["jobs"][0]["state"] == "queued"
        rest = answer(host, "jobs", server=house.address, page_token=page["next_page_token"])
        assert (len(rest["jobs"]), rest["next_page_token"]) == (2, "")


def test_small_pictures_of_large_results_move_few_bytes(
    house: ServerProcess, host: Host, photo: Any, tmp_path: Path
) -> None:
    """A whole picture here has more bytes than a hundred small ones."""
    with Client(house.address) as client:
        large = photo.resize((1536, 1024))
        job = client.submit(large, "mist-ink", recipe="draft", size_px=1536, coarsest_px=16, steps=2)
        job.result(300)
        whole = job.result_event
        assert whole
        assert whole.stored.size_bytes > 1_000_000
    with Proxy(house.address) as proxy:
        page = answer(host, "jobs", server=proxy.address)
        names = [entry["name"] for entry in page["jobs"]]
        assert thumbnails(host, server=proxy.address, jobs=names, size_px=96) == [(job.name, 96, 64)]
        assert proxy.carried_bytes < 100_000
    # A second host of this user needs the list only.
    with Host(XDG_CACHE_HOME=str(tmp_path / "cache")) as another, Proxy(house.address) as proxy:
        answer(another, "jobs", server=proxy.address)
        listed_bytes = proxy.carried_bytes
        assert thumbnails(another, server=proxy.address, jobs=names, size_px=96) == [(job.name, 96, 64)]
        assert proxy.carried_bytes - listed_bytes < 1000


def test_a_job_without_a_small_picture_is_left_out(house: ServerProcess, host: Host, photo: Any) -> None:
    with Client(house.address) as client:
        running = client.submit(photo, "mist-ink", **LONG)
        gone = "jobs/11111111-2222-4333-8444-555555555555"
        assert thumbnails(host, server=house.address, jobs=[running.name, gone]) == []
        running.cancel()


def test_a_warm_gallery_is_read_from_the_disk(server: ServerProcess, host: Host, tmp_path: Path) -> None:
    cold = thumbnails(host, server=server.address, size_px=64)
    assert len(cold) == 8
    folder = tmp_path / "cache" / "impasto" / "thumbnails"
    files = sorted(folder.glob("*-64.png"))
    assert len(files) == 8
    for path in files:  # so that it can be told where they come from
        path.write_bytes(files[0].read_bytes())
    warm = thumbnails(host, server=server.address, size_px=64)
    assert [name for name, *_ in warm] == [name for name, *_ in cold]
    assert len({(width, height) for _, width, height in warm}) == 1
    files[0].write_bytes(b"damaged")
    assert len(thumbnails(host, server=server.address, size_px=64)) == 8


def test_what_is_kept_is_bounded_and_the_least_used_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: ServerProcess
) -> None:
    monkeypatch.setattr(_thumbnails, "cache_folder", lambda: tmp_path / "kept")
    with Client(server.address) as client:
        images = [style.image for style in client.styles()][:3]
    small = (16, 16, bytes(16 * 16 * 3))
    for image in images:
        _thumbnails.keep(image, 16, small)
    for path in (tmp_path / "kept").iterdir():
        size = path.stat().st_size
        os.utime(path, (1e9, 1e9))
    assert _thumbnails.kept(images[0], 16) == small
    monkeypatch.setattr(_thumbnails, "MOST_BYTES", size)
    _thumbnails.forget_oldest()
    assert [_thumbnails.kept(image, 16) is not None for image in images] == [True, False, False]


def test_a_job_that_exists_is_followed_steered_and_kept(house: ServerProcess, host: Host, photo: Any) -> None:
    with Client(house.address) as client:
        job = client.submit(photo, "night-swirl", **LONG)
        host.ask(5, "watch", server=house.address, job=job.name, preview_px=32, fit_width=192, fit_height=128)
        head, _ = host.end("job")
        assert (head["name"], head["title"], head["server"]) == (job.name, "Night over the wheat", house.address)
        head, _ = host.end("preview")
        assert head["width"] == 32
        host.ask(6, "steer", painting=5, strength=75, smoothness=25)
        head, _ = host.end("steered")
        assert (head["id"], head["strength"]) == (5, 75)
        host.ask(7, "keep", painting=5)
        done, parts = host.end("done", "failed")
    assert (done["id"], done["event"], done["partial"], done["state"]) == (5, "done", True, "cancelled")
    assert (done["width"], done["height"], len(parts["pixels"])) == (192, 128, 192 * 128 * 4)


def test_a_job_that_has_ended_is_done_at_once(house: ServerProcess, host: Host, photo: Any) -> None:
    with Client(house.address) as client:
        job = client.submit(photo, "night-swirl", **TINY)
        job.result(60)
    host.ask(5, "watch", server=house.address, job=job.name)
    heads = [head for head, _ in host.until("done", "failed")]
    assert [head["event"] for head in heads] == ["job", "stage", "done"]


def test_cancelling_a_watched_job_cancels_it(house: ServerProcess, host: Host, photo: Any) -> None:
    with Client(house.address) as client:
        job = client.submit(photo, "night-swirl", **LONG)
        host.ask(5, "watch", server=house.address, job=job.name)
        host.end("progress")
        host.ask(6, "cancel", painting=5)
        head, _ = host.end("cancelled", "done", "failed")
        assert (head["event"], head["id"]) == ("cancelled", 5)
        list(job.watch(previews=None))
        assert job.state is JobState.CANCELLED


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Which job is to be watched was not said: `job` is empty."),
        ({"job": "jobs/11111111-2222-4333-8444-555555555555"}, "There is no job 11111111-2222-4333-8444-555555555555"),
    ],
)
def test_a_job_that_is_not_there_is_said_to_be(
    server: ServerProcess, host: Host, fields: dict[str, Any], sentence: str
) -> None:
    head = answer(host, "watch", server=server.address, **fields)
    assert (head["event"], head["sentence"].startswith(sentence)) == ("failed", True), head
