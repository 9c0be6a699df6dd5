"""What many watch is encoded once: the first watcher who gets an event pays for it, the others share its bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import grpc

from impasto.v1 import job_pb2, stylizer_pb2
from impasto_server.jobs import Event, Watched

from .interception import Call, Continuation, Handler
from .outgoing import event

# Watchers that keep up are within a few events of each other. Previews may be large: up to 4096 px.
_MOST_MESSAGES = 256
_MOST_BYTES = 16 * 2**20


class EncodedEvents:
    """Events as `WatchJobResponse` in bytes; the latest ones are kept."""

    def __init__(self) -> None:
        # By identity. What it belongs to is held beside the bytes, so that no other object can have its id meanwhile.
        self._kept: dict[int, tuple[object, bytes]] = {}
        self._kept_bytes = 0

    def response(self, item: Event | Watched) -> bytes:
        """The message in which one watcher gets it."""
        if not isinstance(item, Watched):
            return self._shared(item, item)
        data = self._shared(item.preview, replace(item, coalesced=0))
        if item.coalesced:
            # How many a watcher missed is its own affair. Messages that are appended to each other are merged by
            # whoever reads them (protobuf's encoding guide, "Last One Wins"), so this sets one field more.
            preview = job_pb2.Preview(coalesced=item.coalesced)
            data += stylizer_pb2.WatchJobResponse(event=job_pb2.JobEvent(preview=preview)).SerializeToString()
        return data

    def _shared(self, key: object, item: Event | Watched) -> bytes:
        if found := self._kept.get(id(key)):
            return found[1]
        data = stylizer_pb2.WatchJobResponse(event=event(item)).SerializeToString()
        self._kept[id(key)] = key, data
        self._kept_bytes += len(data)
        while len(self._kept) > _MOST_MESSAGES or (self._kept_bytes > _MOST_BYTES and len(self._kept) > 1):
            _, oldest = self._kept.pop(next(iter(self._kept)))
            self._kept_bytes -= len(oldest)
        return data


class EncodedInterceptor(grpc.aio.ServerInterceptor):
    """Lets handlers of streams yield messages that are encoded already."""

    async def intercept_service(self, continuation: Continuation, handler_call_details: Call) -> Handler:
        handler: Any = await continuation(handler_call_details)
        if handler is None or not handler.response_streaming or handler.response_serializer is None:
            return handler  # type: ignore[no-any-return]
        encode = handler.response_serializer
        return handler._replace(  # type: ignore[no-any-return]
            response_serializer=lambda message: message if isinstance(message, bytes) else encode(message)
        )
