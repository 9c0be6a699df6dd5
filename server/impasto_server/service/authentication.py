"""Who may come in, and whose a call is.

A server that encrypts lets in its guests only: each has a name and a token, and sees no jobs but its own. Any other
server is reached by those who may reach it anyway (loopback, a Unix socket), and takes a caller's word for its name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, NoReturn

import grpc

from .errors import Unauthenticated, abort
from .guests import Guests
from .interception import Call, Continuation, Handler

OWNER_METADATA = "impasto-client"
_OPEN_TO_ALL = "/grpc.health."
"""Orchestrators ask for a server's health without being its guests."""


class Authentication:
    """Knows callers by their metadata. Without guests everybody is let in."""

    def __init__(self, guests: Guests | None) -> None:
        self._guests = guests

    def admit(self, metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
        """The name of the guest that calls; None where there are no guests. Raises Unauthenticated."""
        if self._guests is None:
            return None
        told = next((value for key, value in metadata if key == "authorization"), "")
        scheme, _, token = str(told).partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated(
                "TOKEN_REQUIRED", "This server paints for its guests only: ask its operator for an invitation."
            )
        name = self._guests.name_of(token.strip())
        if name is None:
            raise Unauthenticated(
                "TOKEN_UNKNOWN", "This server doesn't know this token any more: ask its operator for a new invitation."
            )
        return name

    def guest(self, context: grpc.aio.ServicerContext[Any, Any]) -> str | None:
        """The guest whose call it is; None where there are no guests and everybody sees everything."""
        return self.admit(context.invocation_metadata() or ())

    def owner(self, context: grpc.aio.ServicerContext[Any, Any]) -> str:
        """Whose call it is: the guest's name, else what the client calls itself, else its host."""
        metadata = context.invocation_metadata() or ()
        if (guest := self.admit(metadata)) is not None:
            return guest
        told = next((value for key, value in metadata if key == OWNER_METADATA and isinstance(value, str)), "")
        return told[:200] or context.peer().rpartition(":")[0]


class AuthenticationInterceptor(grpc.aio.ServerInterceptor):
    """Turns away whoever isn't let in, from every service but health, before a handler sees anything of the call."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    async def intercept_service(self, continuation: Continuation, handler_call_details: Call) -> Handler:
        handler: Any = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(_OPEN_TO_ALL):
            return handler  # type: ignore[no-any-return]
        try:
            self._authentication.admit(handler_call_details.invocation_metadata or ())
        except Unauthenticated as refusal:
            return _refusing(handler, refusal)
        return handler  # type: ignore[no-any-return]


def _refusing(handler: Any, refusal: Unauthenticated) -> Handler:
    async def answer(request: Any, context: Any) -> NoReturn:
        await abort(context, refusal)

    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        await abort(context, refusal)
        yield

    made: Handler = handler._replace(
        unary_unary=handler.unary_unary and answer,
        stream_unary=handler.stream_unary and answer,
        unary_stream=handler.unary_stream and stream,
        stream_stream=handler.stream_stream and stream,
    )
    return made
