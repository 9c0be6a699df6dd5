"""State folders of schema 1 and 2, as servers before this one left them, open and go on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from impasto_server.engine import Noticed, ResultFormat, Steer, Steering, Task
from impasto_server.jobs import Event, Jobs, JobUnreadable, JournalError, Result, State, schema

from .room import quiet, until
from .scripted_engine import ScriptedEngine

PHOTO = b"a photo that was sent"
CHECKPOINT, BEGINNING = b"checkpoint 7 of old", b"checkpoint 9 of another"
ENDED, RUNNING, CANCELLING, WAITING = (f"{number:08}-0000-4000-8000-000000000000" for number in range(4))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def spec(**departures: Any) -> dict[str, Any]:
    style = {"gallery_style": None, "sha256": sha256(PHOTO), "weight": 1.0}
    parameters = {"size_px": 64, "steps": 6, "style_layers": ["relu1_1", "conv4_2"]}
    return {
        "content": sha256(PHOTO),
        "continue_from": None,
        "device": None,
        "parameters": parameters,
        "recipe": "draft",
        "result_format": {"bits_per_channel": 16, "format": "TIFF"},
        "styles": [style],
    } | departures


def standing(state: str, last_sequence: int, **more: Any) -> dict[str, Any]:
    ended = state in ("succeeded", "cancelled", "failed")
    return {
        "attempt": 1,
        "device": "cpu",
        "end_time": 2e9 if ended else None,
        "error": None,
        "last_sequence": last_sequence,
        "progress": None,
        "result": None,
        "start_time": 1e9,
        "state": state,
    } | more


def changed(state: str, queue_position: int = 0) -> tuple[str, dict[str, Any]]:
    return "state", {"device": "", "error": None, "queue_position": queue_position, "state": state}


@pytest.fixture(params=[1, 2])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Four jobs: one that has ended, one that ran, one being cancelled, and one that waits and begins from another."""
    picture = tmp_path / "picture.png"
    Image.new("RGBA", (64, 43)).save(picture)
    painted = picture.read_bytes()
    for data in (PHOTO, painted):
        path = tmp_path / "blobs" / sha256(data)[:2] / sha256(data)
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / f"{RUNNING}.safetensors").write_bytes(CHECKPOINT)
    (checkpoints / f"{CANCELLING}.safetensors").write_bytes(CHECKPOINT)
    (checkpoints / f"{WAITING}.beginning.safetensors").write_bytes(BEGINNING)
    result = {"partial": False, "sha256": sha256(painted), "step": 6}
    notice = {"reason": "WORKER_KILLED", "message": "The worker on cpu was killed, probably because memory ran out."}
    jobs = {
        ENDED: (standing("succeeded", 4, result=result), spec()),
        RUNNING: (standing("running", 4), spec()),
        CANCELLING: (standing("cancelling", 3), spec(device="cuda:9")),
        WAITING: (standing("queued", 2, attempt=0, device="", start_time=None), spec(continue_from=ENDED)),
    }
    events = {
        ENDED: [changed("queued", 1), changed("running"), ("result", result), changed("succeeded")],
        RUNNING: [changed("queued", 1), changed("running"), ("notice", notice), changed("running")],
        CANCELLING: [changed("queued", 1), changed("running"), changed("cancelling")],
        WAITING: [changed("queued", 2), changed("queued", 1)],
    }
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as database, database:
        database.executescript(schema._FIRST)
        for job_id, (stands, asked) in jobs.items():
            if request.param == 1:
                del asked["result_format"]
            database.execute(
                "INSERT INTO jobs (id, owner, request_id, spec, create_time, standing) VALUES (?, 'ann', ?, ?, 1e9, ?)",
                (job_id, job_id, json.dumps(asked), json.dumps(stands)),
            )
            for sequence, (kind, body) in enumerate(events[job_id], start=1):
                row = job_id, sequence, 1e9 + sequence, 1, kind, json.dumps(body)
                database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", row)
        database.execute("INSERT INTO steerings VALUES (?, 1, '{\"tv_weight\":0.5}', 3)", (RUNNING,))
        database.execute(f"PRAGMA user_version = {request.param}")
    return tmp_path


async def test_jobs_of_an_older_server_go_on_where_they_were(folder: Path, request: pytest.FixtureRequest) -> None:
    engine = ScriptedEngine("cpu")
    async with Jobs(engine, folder) as jobs:
        link = await engine.link()
        assert isinstance(link.task, Task)
        assert link.task.checkpoint == sha256(CHECKPOINT), "what ran goes first"
        assert link.task.memory_deaths == 1
        assert link.task.steerings == (Steer(1, Steering(tv_weight=0.5), 3),)
        assert link.task.recipe.steps == 6
        old_format = ResultFormat() if "[1]" in request.node.name else ResultFormat("TIFF", 16)
        assert link.task.result_format == old_format
        link.finish(partial=False)
        await until(jobs, RUNNING, "succeeded")
        link = await engine.link()
        assert isinstance(link.task, Task)
        assert link.task.begin_from == sha256(BEGINNING)
        link.finish(partial=False)
        await until(jobs, WAITING, "succeeded")
        cancelled = await until(jobs, CANCELLING, "cancelled")
        assert cancelled.result
        assert cancelled.result.partial


async def test_what_had_ended_is_told_as_it_was(folder: Path) -> None:
    async with Jobs(ScriptedEngine(), folder) as jobs:
        ended = await jobs.get(ENDED)
        assert ended.state is State.SUCCEEDED
        assert ended.result
        assert (ended.result.facts.width_px, ended.result.facts.has_alpha) == (64, True)
        assert ended.result.thumbnail is None
        assert ended.result.size_bytes == jobs.storage.path(ended.result.sha256).stat().st_size
        events = [item async for item in jobs.watch(ENDED) if isinstance(item, Event)]
        assert [event.sequence for event in events] == [1, 2, 3, 4]
        assert events[2].body == ended.result
        assert isinstance(events[2].body, Result)
        again = await jobs.create((await jobs.get(WAITING)).spec, owner="ann", request_id=WAITING)
        assert again.id == WAITING, "the same request, sent again after the upgrade"
        page, _ = await jobs.page(10, states={State.SUCCEEDED})
        assert [job.id for job in page] == [ENDED]


async def test_blobs_of_an_older_server_are_counted_from_now_on(folder: Path) -> None:
    engine = ScriptedEngine()
    async with Jobs(engine, folder) as jobs:
        await until(jobs, CANCELLING, "cancelled")
        picture = (await jobs.get(ENDED)).result
        assert picture
        await jobs.delete(ENDED)
        await quiet(jobs)
        await jobs.storage.sweep()
        there = {path.name for path in (folder / "blobs").glob("??/*")}
        assert picture.sha256 not in there
        assert {sha256(PHOTO), sha256(CHECKPOINT), sha256(BEGINNING)} <= there
        assert not (folder / "checkpoints").exists()


async def test_a_migration_that_was_cut_off_is_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = schema._take_in_standing

    def failing(*arguments: Any) -> None:
        if arguments[2] == WAITING:
            raise OSError("the power went")
        original(*arguments)

    monkeypatch.setattr(schema, "_take_in_standing", failing)
    with pytest.raises(JournalError, match="power"):
        async with Jobs(ScriptedEngine(), folder):
            pass
    monkeypatch.undo()
    async with Jobs(ScriptedEngine(), folder) as jobs:
        assert await until(jobs, CANCELLING, "cancelled")
        notices = [item.body async for item in _some(jobs, RUNNING, 4) if isinstance(item.body, Noticed)]
        assert [notice.reason for notice in notices] == ["WORKER_KILLED"]


async def test_a_job_that_can_no_longer_be_read_keeps_no_other_from_being_painted(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / "journal.sqlite3")) as database, database:
        database.execute("UPDATE jobs SET spec = json_set(spec, '$.parameters.steps', 0) WHERE id = ?", (RUNNING,))
    engine = ScriptedEngine("cpu")
    async with Jobs(engine, folder) as jobs:
        link = await engine.link()
        link.finish(partial=False)
        await until(jobs, WAITING, "succeeded")
        assert RUNNING not in {job.id for job in (await jobs.page(10))[0]}
        with pytest.raises(JobUnreadable, match="steps"):
            await jobs.get(RUNNING)


async def _some(jobs: Jobs, job_id: str, count: int) -> Any:
    items = jobs.watch(job_id)
    for _ in range(count):
        yield await anext(aiter(items))


async def test_numbers_that_json_does_not_know_keep_no_journal_from_opening(folder: Path) -> None:
    losses = {"content": float("nan"), "style": 1.0, "tv": 1.0, "total": float("inf")}
    progress = {"scale": 1, "scales": 1, "step": 3, "steps": 6, "height_px": 43, "width_px": 64, "losses": losses}
    progress |= {"steps_per_second": 1.0, "seconds_left": float("inf")}
    failed = standing("failed", 4, progress=progress, error={"reason": "DIVERGED", "message": "It diverged."})
    with contextlib.closing(sqlite3.connect(folder / "journal.sqlite3")) as database, database:
        database.execute("UPDATE jobs SET standing = ? WHERE id = ?", (json.dumps(failed), ENDED))
    async with Jobs(ScriptedEngine(), folder) as jobs:
        page, _ = await jobs.page(10, states={State.FAILED})
        assert [job.id for job in page] == [ENDED]
