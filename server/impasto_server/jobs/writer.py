"""The journal's own threads: one writes, in order and in groups, what the event loop hands over; one reads.

What waits to be written when the disk has time for it goes into one transaction and one sync. Whoever asked is told on
the loop, in the order of asking, once it is on the disk; nobody on the loop ever waits for a disk.

On a full disk there are two kinds of writes. What a user asks for is refused. What has happened must not be lost: it
waits, in its order, until there is room, and the reserve is given up for it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .errors import DiskFull, Refusal
from .journal import Journal, JournalError, lock

T = TypeVar("T")

_MOST_TOGETHER = 500
_RETRY_S = 0.5

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Write:
    act: Callable[[Journal], Any]
    then: Callable[[Any], None]
    done: asyncio.Future[Any]
    refusable: bool


@dataclass(frozen=True, slots=True)
class _Outcome:
    write: _Write
    value: Any = None
    error: Exception | None = None


class Writer:
    """Opens the journal of a state folder and keeps it for itself. `release_reserve` makes room on a full disk; it is
    called in the writing thread."""

    def __init__(self, folder: Path, release_reserve: Callable[[], None]) -> None:
        self._folder = folder
        self._release_reserve = release_reserve
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="journal reader")
        self._waiting: list[_Write] = []
        self._loop = asyncio.get_running_loop()
        self._broken: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="journal writer", daemon=True)

    async def open(self) -> None:
        """Raises JournalError."""
        try:
            self._lock, self._journal, self._reader = await asyncio.to_thread(self._open)
        except BaseException:
            self._reading.shutdown(wait=False)
            raise
        self._thread.start()

    async def close(self) -> None:
        """Writes what was handed over, folds the log in and lets go of the folder."""
        self._queue.put(None)
        await asyncio.to_thread(self._close)

    def write(self, act: Callable[[Journal], T], then: Callable[[T], None] = lambda _: None) -> asyncio.Future[T]:
        """Has something written that must not be lost; `then` is called on the loop, with what `act` returned."""
        return self._put(act, then, refusable=False)

    def try_to_write(
        self, act: Callable[[Journal], T], then: Callable[[T], None] = lambda _: None
    ) -> asyncio.Future[T]:
        """The same for what may be refused. The future raises DiskFull, and whatever refusal `act` raises.

        `then` is called whether anybody still waits for the future or not.
        """
        return self._put(act, then, refusable=True)

    async def read(self, act: Callable[[Journal], T]) -> T:
        """Looks something up; sees all that was told to be written."""
        return await self._loop.run_in_executor(self._reading, lambda: act(self._reader))

    async def broken(self) -> None:
        """Waits until the journal can't be written any more, for a reason that won't go away; raises it."""
        await asyncio.shield(self._broken)

    def _put(self, act: Callable[[Journal], T], then: Callable[[T], None], *, refusable: bool) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Write(act, then, done, refusable))
        return done

    def _open(self) -> tuple[sqlite3.Connection, Journal, Journal]:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            return self._open_files()
        except (sqlite3.OperationalError, OSError):
            self._release_reserve()
        try:
            return self._open_files()
        except (sqlite3.OperationalError, OSError) as error:
            raise JournalError(
                f"The journal in {self._folder} can't be opened ({error}). Is the disk full, or not writable?"
            ) from error

    def _open_files(self) -> tuple[sqlite3.Connection, Journal, Journal]:
        held = lock(self._folder)
        try:
            journal = Journal(self._folder)
            return held, journal, Journal(self._folder, read_only=True)
        except BaseException:
            held.close()
            raise

    def _close(self) -> None:
        self._thread.join()
        self._reading.shutdown()
        for connection in (self._reader, self._journal, self._lock):
            connection.close()

    def _run(self) -> None:
        while (write := self._queue.get()) is not None:
            together = [write]
            while len(together) < _MOST_TOGETHER and not self._queue.empty():
                if (another := self._queue.get()) is None:
                    self._queue.put(None)  # the end: after these
                    break
                together.append(another)
            try:
                self._commit(together)
            except sqlite3.OperationalError as error:
                log.error("the journal can't be written (%s): new work is refused, what runs waits", error)
                self._release_reserve()
                if not self._write_singly(together):
                    return

    def _commit(self, writes: list[_Write]) -> None:
        """All of them in one transaction. Raises OperationalError; nothing was written then."""
        outcomes = []
        try:
            with self._journal.transaction():
                for write in writes:
                    outcomes.append(self._act(write))
        except sqlite3.OperationalError:
            raise
        except Exception as error:  # a defect of ours too: without this thread everybody would wait for ever
            log.critical("the journal is broken", exc_info=error)
            self._tell(functools.partial(self._break, str(error)))
            return
        self._tell(functools.partial(_settle, outcomes))

    def _act(self, write: _Write) -> _Outcome:
        try:
            with self._journal.part():
                return _Outcome(write, write.act(self._journal))
        except Refusal as refusal:
            return _Outcome(write, error=refusal)

    def _write_singly(self, writes: list[_Write]) -> bool:
        """Until nothing waits any more; False if the server stops before."""
        self._take_singly(writes)
        while self._waiting:
            try:
                write = self._queue.get(timeout=_RETRY_S)
            except queue.Empty:
                pass
            else:
                if write is None:
                    log.error("%d events could not be journaled for lack of room", len(self._waiting))
                    return False
                self._take_singly([write])
            waiting, self._waiting = self._waiting, []
            self._take_singly(waiting)
        return True

    def _take_singly(self, writes: list[_Write]) -> None:
        for write in writes:
            if self._waiting and not write.refusable:
                self._waiting.append(write)
                continue
            try:
                self._commit([write])
            except sqlite3.OperationalError as error:
                if write.refusable:
                    refusal = DiskFull(f"The server can't write this down ({error}): delete jobs, or try again later.")
                    self._tell(functools.partial(_settle, [_Outcome(write, error=refusal)]))
                else:
                    self._waiting.append(write)

    def _break(self, why: str) -> None:
        if not self._broken.done():
            self._broken.set_exception(JournalError(f"The journal is broken: {why}"))

    def _tell(self, what: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            log.debug("the loop is gone, and nobody waits any more")


def _settle(outcomes: list[_Outcome]) -> None:
    """In the order of writing: what follows from a write is done before anybody hears of it."""
    for outcome in outcomes:
        done = outcome.write.done
        if outcome.error is None:
            try:
                outcome.write.then(outcome.value)
            except Exception:  # the others have been written all the same
                log.exception("what follows from a write went wrong")
            if not done.done():
                done.set_result(outcome.value)
        elif not done.done():
            done.set_exception(outcome.error)
            if not outcome.write.refusable:
                done.exception()  # nobody may be waiting
                log.error("a write was refused", exc_info=outcome.error)
