"""The journal's tables, and how older ones become them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from impasto_server import codec

VERSION = 3
_UPLOAD_KEPT_S = 3600.0

_FIRST = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    request_id TEXT,
    spec TEXT NOT NULL,
    create_time REAL NOT NULL,
    standing TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX jobs_by_request ON jobs (owner, request_id) WHERE request_id IS NOT NULL;
CREATE TABLE events (
    job_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    time REAL NOT NULL,
    attempt INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (job_id, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE steerings (
    job_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    weights TEXT NOT NULL,
    step INTEGER,
    PRIMARY KEY (job_id, number)
) STRICT, WITHOUT ROWID;
"""
# Blobs are counted here, and what refers to them; jobs that have ended are found without being read.
_THIRD = """
ALTER TABLE jobs ADD COLUMN state TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN end_time REAL;
CREATE INDEX jobs_by_owner ON jobs (owner, number);
CREATE INDEX jobs_by_state ON jobs (state, number);
CREATE INDEX jobs_by_end ON jobs (end_time) WHERE end_time IS NOT NULL;
CREATE TABLE blobs (
    sha256 TEXT NOT NULL PRIMARY KEY,
    size_bytes INTEGER NOT NULL,
    promised_until REAL NOT NULL,
    facts TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE blob_references (
    job_id TEXT NOT NULL,
    role TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (job_id, role, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX references_by_blob ON blob_references (sha256);
CREATE TABLE checkpoints (
    job_id TEXT NOT NULL PRIMARY KEY,
    step INTEGER NOT NULL,
    sha256 TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


def migrate(database: sqlite3.Connection, folder: Path) -> None:
    """Brings the tables of a journal to `VERSION`, in one transaction. `folder` is the state folder."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version >= VERSION:
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        if version < 1:
            _execute(database, _FIRST)
        _execute(database, _THIRD)
        if version >= 1:
            _take_in_files(database, folder)
        database.execute(f"PRAGMA user_version = {VERSION}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _execute(database: sqlite3.Connection, script: str) -> None:
    # Not `executescript`, which commits first.
    for statement in filter(str.strip, script.split(";")):
        database.execute(statement)


def _take_in_files(database: sqlite3.Connection, folder: Path) -> None:
    """Until schema 2 the folder itself said which blobs and checkpoints there were."""
    for path in _files(folder / "blobs", "??/*"):
        if len(path.name) == 64:
            _insert_blob(database, path, path.name, path.stat().st_mtime + _UPLOAD_KEPT_S)
    for job_id, spec, standing in database.execute("SELECT id, spec, standing FROM jobs").fetchall():
        plain = json.loads(spec)
        for sha256 in {plain["content"], *(style["sha256"] for style in plain["styles"])}:
            _refer(database, job_id, "image", sha256)
        _take_in_standing(database, folder, job_id, json.loads(standing))
        _take_in_checkpoint(database, folder, job_id, "checkpoint", f"{job_id}.safetensors")
        _take_in_checkpoint(database, folder, job_id, "beginning", f"{job_id}.beginning.safetensors")


def _take_in_standing(database: sqlite3.Connection, folder: Path, job_id: str, standing: dict[str, Any]) -> None:
    (of_memory,) = database.execute(
        "SELECT count(*) FROM events"
        " WHERE job_id = ? AND kind = 'notice' AND json_extract(body, '$.reason') = 'WORKER_KILLED'",
        (job_id,),
    ).fetchone()
    standing["deaths"] = {"crashes": 0, "kills": 0, "of_memory": of_memory, "step": 0, "workers": []}
    if result := standing["result"]:
        _refer(database, job_id, "result", result["sha256"])
        # It was painted here, not sent: nobody but the job needs it.
        database.execute("UPDATE blobs SET promised_until = 0 WHERE sha256 = ?", (result["sha256"],))
        result |= _size_and_facts(folder / "blobs" / result["sha256"][:2] / result["sha256"])
        database.execute(
            "UPDATE events SET body = ? WHERE job_id = ? AND kind = 'result'", (json.dumps(result), job_id)
        )
    # Not by SQLite's `json_extract`: losses that are no longer finite are JSON for Python only.
    database.execute(
        "UPDATE jobs SET standing = ?, state = ?, end_time = ? WHERE id = ?",
        (json.dumps(standing), standing["state"], standing["end_time"], job_id),
    )


def _size_and_facts(path: Path) -> Mapping[str, Any]:
    try:
        size_bytes = path.stat().st_size
        facts = codec.inspect(path, max_pixels=2**62)
    except (OSError, codec.ImageError):  # the job stays, whatever became of its picture
        return {"size_bytes": 0, "facts": {"format": "PNG", "width_px": 0, "height_px": 0, "has_alpha": False}}
    return {
        "size_bytes": size_bytes,
        "facts": {
            "format": facts.format,
            "width_px": facts.width_px,
            "height_px": facts.height_px,
            "has_alpha": facts.has_alpha,
        },
    }


def _take_in_checkpoint(database: sqlite3.Connection, folder: Path, job_id: str, role: str, name: str) -> None:
    path = folder / "checkpoints" / name
    if not path.exists():
        return
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    target = folder / "blobs" / sha256[:2] / sha256
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        # The old name goes once the journal has the new one.
        try:
            os.link(path, target)
        except OSError:  # a file system without hard links
            shutil.copyfile(path, target)
    _insert_blob(database, target, sha256, 0.0)
    _refer(database, job_id, role, sha256)
    if role == "checkpoint":
        database.execute("INSERT INTO checkpoints (job_id, step, sha256) VALUES (?, 0, ?)", (job_id, sha256))


def _insert_blob(database: sqlite3.Connection, path: Path, sha256: str, promised_until: float) -> None:
    database.execute(
        "INSERT OR IGNORE INTO blobs (sha256, size_bytes, promised_until) VALUES (?, ?, ?)",
        (sha256, path.stat().st_size, promised_until),
    )


def _refer(database: sqlite3.Connection, job_id: str, role: str, sha256: str) -> None:
    database.execute(
        "INSERT OR IGNORE INTO blob_references (job_id, role, sha256) VALUES (?, ?, ?)", (job_id, role, sha256)
    )


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    return (path for path in folder.glob(pattern) if path.is_file())
