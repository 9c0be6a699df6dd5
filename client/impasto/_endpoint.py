"""Where a client's calls go, and how the channel behaves: keepalive, backoff, deadlines."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import grpc

from impasto import _credentials, _errors
from impasto._config import ServerChoice
from impasto._exceptions import ImpastoError, ServerUnavailableError
from impasto._local import LocalServer, local_server
from impasto._reconnect import Reconnect

CALL_TIMEOUT_S = 20.0
"""Deadline of a call that only asks or tells."""
TRANSFER_TIMEOUT_S = 600.0
"""Deadline of an image's upload or download."""
FIRST_CONTACT_S = 3.0
"""How long a server that was never heard is tried; a wrong address should not cost a minute."""
LOCAL_GIVE_UP_S = 5.0
"""A server on this machine that runs answers at once; one that died is started again."""

CHANNEL_OPTIONS = [
    # Notices a dead connection within 40 s. Our servers allow a ping every 20 s; others strike below 5 min.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Without this, a ping that isn't answered is given a minute, whatever the keepalive's own timeout says.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # The channel reconnects at our pace (_reconnect.py), not at its own of up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),
]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that a channel can be opened to."""

    address: str
    local: LocalServer | None
    reconnect: Reconnect
    credentials: grpc.ChannelCredentials | None = None
    """None: a channel that doesn't encrypt."""
    options: Sequence[tuple[str, int | str]] = tuple(CHANNEL_OPTIONS)

    def channel(self) -> grpc.Channel:
        """Opens it."""
        if self.credentials is None:
            return grpc.insecure_channel(self.address, self.options)
        return grpc.secure_channel(self.address, self.credentials, self.options)

    def async_channel(self) -> grpc.aio.Channel:
        """Opens it, for the running event loop."""
        if self.credentials is None:
            return grpc.aio.insecure_channel(self.address, self.options)
        return grpc.aio.secure_channel(self.address, self.credentials, self.options)

    def explain(self, error: grpc.RpcError, rpc: str) -> ImpastoError:
        """The exception for a failed call."""
        exception = _errors.translate(error, address=self.address, rpc=rpc)
        silent = type(exception) is ServerUnavailableError and not exception.reason
        if silent and self.local is not None and not self.local.accepts():
            return self.local.died()
        return exception

    def unary_policy(self, heard_before: bool) -> Reconnect:
        """How long a call that only asks or tells is tried again."""
        limit_s = self.reconnect.give_up_after_s
        return replace(
            self.reconnect, give_up_after_s=min(limit_s, CALL_TIMEOUT_S if heard_before else FIRST_CONTACT_S)
        )


def open_endpoint(choice: ServerChoice, reconnect: Reconnect | None) -> Endpoint:
    """The chosen server. Takes a moment: the private one is started if it doesn't run, another one may be asked for its
    certificate.
    """
    if invitation := choice.invitation:
        credentials, options = _credentials.credentials(invitation, FIRST_CONTACT_S)
        return Endpoint(choice.address, None, reconnect or Reconnect(), credentials, (*CHANNEL_OPTIONS, *options))
    if not choice.is_local:
        return Endpoint(choice.address, None, reconnect or Reconnect())
    server = local_server()
    address = server.ensure_running()
    return Endpoint(address, server, reconnect or Reconnect(give_up_after_s=LOCAL_GIVE_UP_S))
