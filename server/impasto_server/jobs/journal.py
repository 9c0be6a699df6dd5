"""The journal: where every job stands and what became of it, in SQLite. It is the truth; what is in memory follows it.

Rows only: no thread, no loop and no files of blobs here. One `Journal` writes, from one thread (writer.py); others
read beside it. A write that returned survives a killed process once its transaction is committed, and a power cut too:
`synchronous` is FULL.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from impasto_server.codec import ImageFacts
from impasto_server.engine import Progressed, Steering

from . import codecs, schema
from .errors import ImageNotFound, JobNotFound, JobUnreadable, RequestIdReused
from .state import Event, Job, Result, after

log = logging.getLogger(__name__)

_JOB = "id, owner, spec, create_time, standing"


class JournalError(Exception):
    """The journal can't be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class StoredSteering:
    """Weights that were changed, and the first step made with them; None until the worker has said which."""

    number: int
    steering: Steering
    step: int | None


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """Where a job could be gone on with from."""

    step: int
    sha256: str
    size_bytes: int = 0


class Journal:
    """A connection to the journal of a state folder."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        path = folder / "journal.sqlite3"
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            if read_only:
                self._database.execute("PRAGMA query_only = ON")
                return
            self._database.execute("PRAGMA journal_mode = WAL")
            # A commit is on the disk when it returns. The log is folded in after so many frames, by whoever commits.
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("PRAGMA wal_autocheckpoint = 1000")
            _check_version(self._database, path)
            schema.migrate(self._database, folder)
        except sqlite3.OperationalError:
            self._database.close()
            raise
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise JournalError(
                f"{path} can't be used as a journal ({error}). Move it away to start with an empty one."
            ) from error
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Closes the connection; the last one to be closed folds the log in."""
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is written inside is there as a whole or not at all. Raises sqlite3.OperationalError on a full disk."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    @contextmanager
    def part(self) -> Iterator[None]:
        """A part of a transaction that leaves nothing behind if it fails."""
        self._database.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK TO part")
                self._database.execute("RELEASE part")
            raise
        self._database.execute("RELEASE part")

    # Jobs

    def create(
        self, job: Job, event: Event, request_id: str, beginning: str | None, pinned: Collection[str]
    ) -> Job | None:
        """A new job, with its first event already folded in; None. The same request again: the job that it made.

        `beginning` is the checkpoint that it begins from; `pinned` images need no blob.
        Raises RequestIdReused, ImageNotFound, JobNotFound.
        """
        if request_id and (known := self.requested(job, request_id)):
            return known
        self._check_images(job, pinned)
        if beginning and not self.known([beginning]):
            raise not_found(job.spec.continue_from or "")
        self._database.execute(
            "INSERT INTO jobs (id, owner, request_id, spec, create_time, standing, state) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                job.id,
                job.owner,
                request_id or None,
                codecs.encode_spec(job.spec),
                job.create_time,
                codecs.encode_standing(job),
                job.state.value,
            ),
        )
        self._insert(job.id, event)
        for sha256 in job.spec.images - set(pinned):
            self._refer(job.id, "image", sha256)
        if beginning:
            self._refer(job.id, "beginning", beginning)
        return None

    def append(self, job: Job, events: Sequence[Event]) -> None:
        """Events, and the job as it stands after them. A result and its thumbnail become the job's blobs."""
        for event in events:
            self._insert(job.id, event)
            if isinstance(event.body, Result):
                result = event.body
                self._add_blob(result.sha256, result.size_bytes, 0.0, result.facts)
                self._refer(job.id, "result", result.sha256)
                if small := result.thumbnail:
                    self._add_blob(small.sha256, small.size_bytes, 0.0, small.facts)
                    self._refer(job.id, "thumbnail", small.sha256)
        if all(isinstance(event.body, Progressed) for event in events):
            return  # the job's row is written when it changes its state: a reader folds in what came since
        self._database.execute(
            "UPDATE jobs SET standing = ?, state = ?, end_time = ? WHERE id = ?",
            (codecs.encode_standing(job), job.state.value, job.end_time, job.id),
        )

    def requested(self, job: Job, request_id: str) -> Job | None:
        """The job that the same request of this one's owner has made. Raises RequestIdReused."""
        row = self._database.execute(
            f"SELECT {_JOB} FROM jobs WHERE owner = ? AND request_id = ?",  # noqa: S608 - our columns
            (job.owner, request_id),
        ).fetchone()
        if row is None:
            return None
        known = self._decoded(row)
        if known.spec != job.spec:
            raise RequestIdReused(f"request_id {request_id} already made job {known.id} with another body.")
        return known

    def job(self, job_id: str) -> Job:
        """A job as it stands. Raises JobNotFound."""
        row = self._database.execute(f"SELECT {_JOB} FROM jobs WHERE id = ?", (job_id,)).fetchone()  # noqa: S608
        if row is None:
            raise not_found(job_id)
        return self._decoded(row)

    def live_jobs(self) -> list[Job]:
        """Those that haven't ended, in the order of their creation."""
        query = f"SELECT {_JOB} FROM jobs WHERE state IN ('queued', 'running', 'cancelling') ORDER BY number"  # noqa: S608
        return self._readable(self._database.execute(query).fetchall())

    def page(
        self, size: int, before: int | None, states: Collection[str], owner: str | None
    ) -> tuple[list[Job], int | None]:
        """Jobs, the newest first, from behind the number `before`; and the number to go on behind, if there are more.

        No `states`: all; no `owner`: everybody's.
        """
        conditions, values = ["number < ?"], [before if before is not None else 2**62]
        if owner is not None:
            conditions.append("owner = ?")
            values.append(owner)  # type: ignore[arg-type]
        if states:
            conditions.append(f"state IN ({', '.join('?' * len(states))})")
            values.extend(states)  # type: ignore[arg-type]
        query = f"SELECT {_JOB}, number FROM jobs WHERE {' AND '.join(conditions)} ORDER BY number DESC LIMIT ?"  # noqa: S608
        rows = self._database.execute(query, (*values, size + 1)).fetchall()
        jobs = self._readable([row[:-1] for row in rows[:size]])
        return jobs, rows[size - 1][-1] if len(rows) > size else None

    def delete(self, job_id: str) -> None:
        """Forgets a job and all that happened to it. Raises JobNotFound."""
        if not self._database.execute("DELETE FROM jobs WHERE id = ?", (job_id,)).rowcount:
            raise not_found(job_id)
        for table in ("events", "steerings", "blob_references", "checkpoints"):
            self._database.execute(f"DELETE FROM {table} WHERE job_id = ?", (job_id,))  # noqa: S608 - our names

    def expire(self, ended_before: float, most: int) -> int:
        """Deletes jobs that ended before a time, so many at most; says how many."""
        ids = self._database.execute("SELECT id FROM jobs WHERE end_time < ? LIMIT ?", (ended_before, most)).fetchall()
        for (job_id,) in ids:
            self.delete(job_id)
        return len(ids)

    # Events and steerings

    def events(self, job_id: str, after_sequence: int, limit: int) -> list[Event]:
        """Events of a job with a greater sequence, in order."""
        rows = self._database.execute(
            "SELECT sequence, time, attempt, kind, body FROM events"
            " WHERE job_id = ? AND sequence > ? ORDER BY sequence LIMIT ?",
            (job_id, after_sequence, limit),
        ).fetchall()
        return [
            Event(sequence, at, attempt, codecs.decode_body(kind, body)) for sequence, at, attempt, kind, body in rows
        ]

    def steer(self, job_id: str, steering: Steering) -> int:
        """Notes a change of weights; returns its number among the job's, from 1."""
        (number,) = self._database.execute(
            "INSERT INTO steerings (job_id, number, weights)"
            " SELECT ?1, coalesce(max(number), 0) + 1, ?2 FROM steerings WHERE job_id = ?1 RETURNING number",
            (job_id, codecs.encode_steering(steering)),
        ).fetchone()
        return int(number)

    def steered(self, job_id: str, number: int, step: int) -> None:
        """Notes the first step that was made with a change."""
        self._database.execute("UPDATE steerings SET step = ? WHERE job_id = ? AND number = ?", (step, job_id, number))

    def steerings(self, job_id: str) -> list[StoredSteering]:
        """All changes of a job's weights, in order."""
        rows = self._database.execute(
            "SELECT number, weights, step FROM steerings WHERE job_id = ? ORDER BY number", (job_id,)
        ).fetchall()
        return [StoredSteering(number, codecs.decode_steering(weights), step) for number, weights, step in rows]

    # Blobs

    def keep_checkpoint(self, job_id: str, checkpoint: StoredCheckpoint) -> None:
        """Takes the place of the job's checkpoint before it."""
        self._add_blob(checkpoint.sha256, checkpoint.size_bytes, 0.0, None)
        self._database.execute("DELETE FROM blob_references WHERE job_id = ? AND role = 'checkpoint'", (job_id,))
        self._refer(job_id, "checkpoint", checkpoint.sha256)
        self._database.execute(
            "INSERT OR REPLACE INTO checkpoints (job_id, step, sha256) VALUES (?, ?, ?)",
            (job_id, checkpoint.step, checkpoint.sha256),
        )

    def checkpoint(self, job_id: str) -> StoredCheckpoint | None:
        """Where the job could be gone on with from."""
        row = self._database.execute("SELECT step, sha256 FROM checkpoints WHERE job_id = ?", (job_id,)).fetchone()
        return StoredCheckpoint(*row) if row else None

    def beginning(self, job_id: str) -> str | None:
        """The checkpoint of another job that this one begins from."""
        row = self._database.execute(
            "SELECT sha256 FROM blob_references WHERE job_id = ? AND role = 'beginning'", (job_id,)
        ).fetchone()
        return row[0] if row else None

    def promise(self, sha256: str, size_bytes: int, until: float, facts: ImageFacts) -> None:
        """A blob that was sent: it stays until then, and as long as a job refers to it."""
        self._add_blob(sha256, size_bytes, until, facts)

    def renew_promise(self, sha256: str, until: float) -> bool:
        """Whether the blob is there, and then until that time at least."""
        update = "UPDATE blobs SET promised_until = max(promised_until, ?) WHERE sha256 = ?"
        return bool(self._database.execute(update, (until, sha256)).rowcount)

    def blob(self, sha256: str) -> tuple[int, ImageFacts | None] | None:
        """Size in bytes of a blob that is there, and its facts if it is known to be an image."""
        row = self._database.execute("SELECT size_bytes, facts FROM blobs WHERE sha256 = ?", (sha256,)).fetchone()
        return (row[0], codecs.decode_facts(row[1]) if row[1] else None) if row else None

    def known(self, hashes: Collection[str]) -> set[str]:
        """Those of them that are blobs."""
        found = (self._database.execute("SELECT 1 FROM blobs WHERE sha256 = ?", (one,)).fetchone() for one in hashes)
        return {one for one, row in zip(hashes, found, strict=True) if row}

    def used_bytes(self) -> int:
        """What all blobs take."""
        (total,) = self._database.execute("SELECT coalesce(sum(size_bytes), 0) FROM blobs").fetchone()
        return int(total)

    def drop_unreferenced(self, held: Collection[str], most: int) -> list[str]:
        """Forgets blobs that nothing refers to, nobody was promised and nobody holds; returns their hashes.

        Their files may be deleted once this is committed.
        """
        rows = self._database.execute(
            "SELECT sha256 FROM blobs WHERE promised_until < ?"
            " AND NOT EXISTS (SELECT 1 FROM blob_references r WHERE r.sha256 = blobs.sha256)"
            " LIMIT ?",
            (time.time(), most + len(held)),
        ).fetchall()
        dropped = [sha256 for (sha256,) in rows if sha256 not in held][:most]
        for sha256 in dropped:
            self._database.execute("DELETE FROM blobs WHERE sha256 = ?", (sha256,))
        return dropped

    def _check_images(self, job: Job, pinned: Collection[str]) -> None:
        needed = {"spec.content": job.spec.content}
        needed |= {f"spec.styles[{index}].image": style.sha256 for index, style in enumerate(job.spec.styles)}
        known = self.known(set(needed.values())) | set(pinned)
        for field, sha256 in needed.items():
            if sha256 not in known:
                kind = "content" if field == "spec.content" else "style"
                raise ImageNotFound(field, f"The {kind} image {sha256} is not on this server: upload it first.")

    def _readable(self, rows: Sequence[Sequence[str | float]]) -> list[Job]:
        """Without those that this version can't read: one bad row must not keep the others from being painted."""
        found = []
        for row in rows:
            try:
                found.append(self._decoded(row))
            except JobUnreadable as error:
                log.error("%s", error)
        return found

    def _decoded(self, row: Sequence[str | float]) -> Job:
        try:
            job = codecs.decode_job(*row)  # type: ignore[arg-type]
        except (ValueError, KeyError, TypeError) as error:
            raise JobUnreadable(f"The job {row[0]} can't be read by this version of the server: {error!r}.") from error
        if job.state.has_ended:
            return job
        # What came since `standing` was written, all of it but progress that another one follows: of hours of it only
        # the latest is to be seen. States may be among it, if they were journaled after the row was read.
        events = self._database.execute(
            "SELECT sequence, time, attempt, kind, body FROM events WHERE job_id = ?1 AND sequence > ?2"
            " AND (kind != 'progress' OR sequence = (SELECT max(sequence) FROM events WHERE job_id = ?1))"
            " ORDER BY sequence",
            (job.id, job.last_sequence),
        )
        for sequence, at, attempt, kind, body in events:
            event = Event(sequence, at, attempt, codecs.decode_body(kind, body))
            job = after(replace(job, last_sequence=sequence - 1), event)
        return job

    def _insert(self, job_id: str, event: Event) -> None:
        kind, body = codecs.encode_body(event.body)
        self._database.execute(
            "INSERT INTO events (job_id, sequence, time, attempt, kind, body) VALUES (?, ?, ?, ?, ?, ?)",
            (job_id, event.sequence, event.time, event.attempt, kind, body),
        )

    def _add_blob(self, sha256: str, size_bytes: int, promised_until: float, facts: ImageFacts | None) -> None:
        self._database.execute(
            "INSERT INTO blobs (sha256, size_bytes, promised_until, facts) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (sha256) DO UPDATE SET promised_until = max(promised_until, excluded.promised_until),"
            " facts = coalesce(facts, excluded.facts)",
            (sha256, size_bytes, promised_until, codecs.encode_facts(facts) if facts else None),
        )

    def _refer(self, job_id: str, role: str, sha256: str) -> None:
        self._database.execute(
            "INSERT OR IGNORE INTO blob_references (job_id, role, sha256) VALUES (?, ?, ?)", (job_id, role, sha256)
        )


def not_found(job_id: str) -> JobNotFound:
    """The refusal for a job that isn't there."""
    return JobNotFound(f"There is no job {job_id}: it was deleted, or made on another server.")


def lock(folder: Path) -> sqlite3.Connection:
    """Holds a state folder for one server until it is closed. An empty database, because SQLite's locks are the same
    on every system. Raises JournalError."""
    connection = sqlite3.connect(folder / "journal.lock", timeout=0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        raise JournalError(
            f"Another server uses {folder}: stop that one, or give this one another --state-dir."
        ) from error
    return connection


def _check_version(database: sqlite3.Connection, path: Path) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > schema.VERSION:
        raise JournalError(
            f"{path} was written by a newer Impasto (schema {version}, this one knows {schema.VERSION}): "
            "use that version, or another --state-dir."
        )
