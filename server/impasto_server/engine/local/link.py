"""The way to a process of this machine, for one attempt: blobs go there and back as files of one file system."""

from __future__ import annotations

import asyncio
import logging
import shutil
from dataclasses import replace
from typing import Protocol

from impasto_server.engine.attempt import LinkLost, Message
from impasto_server.engine.protocol import (
    BlobSink,
    BlobSource,
    Checkpointed,
    Command,
    Finished,
    Picture,
    RenderTask,
    Report,
    Task,
)

from .pipe import Begin, LocalFiles, ToWorker

Heard = Message | LinkLost

log = logging.getLogger(__name__)


class Paints(Protocol):
    """A process that takes a task, now or as soon as it has started."""

    async def take(self, inbox: asyncio.Queue[Heard]) -> None:
        """Waits until it can be given a task; from then on it speaks to this inbox. Raises LinkLost."""

    def send(self, message: ToWorker) -> None:
        """Says something to it."""

    async def release(self) -> None:
        """The attempt is over: what is said from here on is nobody's."""

    async def kill(self) -> None:
        """Ends the process; returns once it is gone."""


class LocalLink:
    """One attempt's."""

    def __init__(self, process: Paints, source: BlobSource, sink: BlobSink) -> None:
        self._process = process
        self._source = source
        self._sink = sink
        self._inbox: asyncio.Queue[Heard] = asyncio.Queue()
        self._scratch = sink.scratch_path()

    async def open(self) -> None:
        await self._process.take(self._inbox)

    def send(self, message: Task | RenderTask | Command) -> None:
        if isinstance(message, Task | RenderTask):
            paths = {blob: self._source.path(blob) for blob in message.blobs}
            self._process.send(Begin(message, LocalFiles(paths, self._scratch)))
        else:
            self._process.send(message)

    async def receive(self) -> Message:
        heard = await self._inbox.get()
        if isinstance(heard, LinkLost):
            raise heard
        return heard

    async def bring(self, message: Report | Finished) -> Report | Finished:
        match message:
            case Checkpointed(_, blob):
                return replace(message, blob=await self._sink.adopt(blob))
            case Finished(_, _, picture) if picture:
                return replace(message, picture=await brought(picture, self._sink))
        return message

    async def break_off(self) -> None:
        await self._process.kill()

    async def close(self) -> None:
        await self._process.release()
        await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)


async def brought(picture: Picture, sink: BlobSink) -> Picture:
    """The picture and its thumbnail as blobs of the sink. Raises OSError if the picture can't be taken in."""
    whole = replace(picture, blob=await sink.adopt(picture.blob), thumbnail=None)
    if picture.thumbnail is None:
        return whole
    try:
        return replace(whole, thumbnail=await brought(picture.thumbnail, sink))
    except OSError as error:  # it must not cost the picture
        log.warning("no thumbnail: %s", error)
        return whole
