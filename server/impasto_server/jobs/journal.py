"""The journal: every job, every event, every steering, in SQLite. It is the truth; everything in memory follows it.

Writes are made on the event loop and are in the write-ahead log when the call returns: a killed process loses none of
them. `durable` waits until they would survive a power cut too. In WAL mode that is exactly what sets SQLite's
synchronous=FULL apart from NORMAL: one fsync of the log after the commit. We do that fsync in a thread, once for
everybody who waits, so that the loop never stands still for a disk.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from impasto_server.engine import Steering

from . import encoding
from .state import Event, Job

SCHEMA_VERSION = 2
_MIGRATIONS: Sequence[str] = (
    """
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
    """,
    # Notices, and result formats in specs: nothing to change here, but a server of before can't read them.
    "",
)
# The log is folded into the database beyond this size, in the thread that syncs it.
_CHECKPOINT_BYTES = 4 * 2**20


class JournalError(Exception):
    """The journal can't be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class StoredSteering:
    """Weights that were changed, and the first step made with them; None until the worker has said which."""

    number: int
    steering: Steering
    step: int | None


class Journal:
    """One file. Everything but `durable` is for the event loop's thread alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(path.with_suffix(".lock"))
        self._database = sqlite3.connect(path, isolation_level=None)
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute("PRAGMA wal_autocheckpoint = 0")  # see _sync
            self._migrate()
        except sqlite3.DatabaseError as error:
            self._database.close()
            self._lock.close()
            raise JournalError(
                f"{path} can't be used as a journal ({error}). Move it away to start with an empty one."
            ) from error
        # A connection of its own, for the syncing thread: a passive checkpoint keeps nobody from writing.
        self._folder_in = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._folder_in.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        self._syncing: asyncio.Task[None] | None = None
        self._next_sync: asyncio.Task[None] | None = None
        self._sync()

    def close(self) -> None:
        """Folds the log in and closes the file."""
        self._folder_in.close()
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._database.close()
        self._lock.close()

    def add(self, job: Job, event: Event, request_id: str) -> None:
        """A new job, with its first event already folded in."""
        with self._transaction():
            self._database.execute(
                "INSERT INTO jobs (id, owner, request_id, spec, create_time, standing) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    job.id,
                    job.owner,
                    request_id or None,
                    encoding.encode_spec(job.spec),
                    job.create_time,
                    encoding.encode_standing(job),
                ),
            )
            self._insert(job.id, event)

    def append(self, job: Job, event: Event) -> None:
        """An event, and the job as it stands after it."""
        with self._transaction():
            self._insert(job.id, event)
            self._database.execute("UPDATE jobs SET standing = ? WHERE id = ?", (encoding.encode_standing(job), job.id))

    def jobs(self) -> Iterator[tuple[Job, str]]:
        """Every job and its request id, in the order of their creation."""
        query = "SELECT id, owner, spec, create_time, standing, coalesce(request_id, '') FROM jobs ORDER BY number"
        for *columns, request_id in self._database.execute(query):
            yield encoding.decode_job(*columns), request_id

    def events(self, job_id: str, after_sequence: int, limit: int) -> list[Event]:
        """Events of a job with a greater sequence, in order."""
        rows = self._database.execute(
            "SELECT sequence, time, attempt, kind, body FROM events"
            " WHERE job_id = ? AND sequence > ? ORDER BY sequence LIMIT ?",
            (job_id, after_sequence, limit),
        )
        return [
            Event(sequence, time, attempt, encoding.decode_body(kind, body))
            for sequence, time, attempt, kind, body in rows
        ]

    def notices(self, job_id: str, reason: str) -> int:
        """How many notices of this reason a job has had."""
        (count,) = self._database.execute(
            "SELECT count(*) FROM events WHERE job_id = ? AND kind = 'notice' AND json_extract(body, '$.reason') = ?",
            (job_id, reason),
        ).fetchone()
        return int(count)

    def steer(self, job_id: str, steering: Steering) -> int:
        """Notes a change of weights; returns its number among the job's, from 1."""
        with self._transaction():
            (number,) = self._database.execute(
                "INSERT INTO steerings (job_id, number, weights)"
                " SELECT ?1, coalesce(max(number), 0) + 1, ?2 FROM steerings WHERE job_id = ?1 RETURNING number",
                (job_id, encoding.encode_steering(steering)),
            ).fetchone()
        return int(number)

    def steered(self, job_id: str, number: int, step: int) -> None:
        """Notes the first step that was made with a change."""
        with self._transaction():
            self._database.execute(
                "UPDATE steerings SET step = ? WHERE job_id = ? AND number = ?", (step, job_id, number)
            )

    def steerings(self, job_id: str) -> list[StoredSteering]:
        """All changes of a job's weights, in order."""
        rows = self._database.execute(
            "SELECT number, weights, step FROM steerings WHERE job_id = ? ORDER BY number", (job_id,)
        )
        return [StoredSteering(number, encoding.decode_steering(weights), step) for number, weights, step in rows]

    def delete(self, job_id: str) -> None:
        """Forgets a job and all that happened to it."""
        with self._transaction():
            for table in ("events", "steerings"):
                self._database.execute(f"DELETE FROM {table} WHERE job_id = ?", (job_id,))  # noqa: S608 - our names
            self._database.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    async def durable(self) -> None:
        """Returns once everything written before the call would survive a power cut."""
        if self._next_sync is None:
            self._next_sync = asyncio.create_task(self._sync_after(self._syncing), name="journal sync")
        await asyncio.shield(self._next_sync)

    async def _sync_after(self, running: asyncio.Task[None] | None) -> None:
        if running:
            await asyncio.wait([running])
        self._syncing, self._next_sync = self._next_sync, None
        await asyncio.to_thread(self._sync)

    def _sync(self) -> None:
        log = Path(f"{self._path}-wal")
        descriptor = os.open(log, os.O_RDWR)
        try:
            os.fsync(descriptor)
            size_bytes = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        if size_bytes > _CHECKPOINT_BYTES:
            self._folder_in.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _insert(self, job_id: str, event: Event) -> None:
        kind, body = encoding.encode_body(event.body)
        self._database.execute(
            "INSERT INTO events (job_id, sequence, time, attempt, kind, body) VALUES (?, ?, ?, ?, ?, ?)",
            (job_id, event.sequence, event.time, event.attempt, kind, body),
        )

    def _migrate(self) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise JournalError(
                f"{self._path} was written by a newer Impasto (schema {version}, this one knows {SCHEMA_VERSION}): "
                "use that version, or another --state-dir."
            )
        for number, script in enumerate(_MIGRATIONS[version:], start=version + 1):
            self._database.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")


def _locked(path: Path) -> sqlite3.Connection:
    """Holds a state folder for one server. An empty database, because SQLite's locks are the same on every system."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        raise JournalError(
            f"Another server uses {path.parent}: stop that one, or give this one another --state-dir."
        ) from error
    return connection
