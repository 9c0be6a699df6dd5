"""A server's life: opens the port, serves until told to stop, drains, goes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from impasto.v1 import stylizer_pb2, stylizer_pb2_grpc
from impasto_server.engine import LocalEngine
from impasto_server.jobs import Jobs, JournalError

from .authentication import Authentication, AuthenticationInterceptor
from .certificate import Certificate
from .config import ServerConfig
from .encoded import EncodedInterceptor
from .errors import ErrorInterceptor
from .guests import Guests
from .images import Images
from .interception import Call, Continuation, Handler
from .stylizer import Stylizer

SERVICE = stylizer_pb2.DESCRIPTOR.services_by_name["Stylizer"].full_name

log = logging.getLogger(__name__)


class CannotServe(Exception):
    """The server can't run; the text says why and what to do."""


class _Activity(grpc.aio.ServerInterceptor):
    """Knows when the last call came in."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    @property
    def idle_s(self) -> float:
        """Seconds since the last call began. A long call watches a job, and jobs keep the server up by themselves."""
        return time.monotonic() - self._last

    async def intercept_service(self, continuation: Continuation, handler_call_details: Call) -> Handler:
        self._last = time.monotonic()
        return await continuation(handler_call_details)


async def serve(config: ServerConfig, *, on_ready: Callable[[str], None] = lambda address: None) -> None:
    """Serves until SIGTERM or SIGINT, or until idle for long enough. Raises CannotServe.

    The first signal drains: health says NOT_SERVING, new jobs are refused, running ones get `drain_s` to end, then
    watchers are told; what still ran goes on at the next start. A second signal ends at once.
    """
    jobs = Jobs(LocalEngine(config.devices, silence_s=config.silence_s), config.state_dir, config.limits)
    images = Images(jobs.storage, max_bytes=config.max_image_bytes, max_pixels=config.max_image_pixels)
    activity = _Activity()
    guests = Guests(config.state_dir) if config.certificate else None
    authentication = Authentication(guests)
    server = grpc.aio.server(
        interceptors=[activity, AuthenticationInterceptor(authentication), ErrorInterceptor(), EncodedInterceptor()],
        options=_options(config.keepalive_s),
    )
    stylizer_pb2_grpc.add_StylizerServicer_to_server(Stylizer(jobs, images, config, authentication), server)
    health = health_aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection(
        [SERVICE, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME], server
    )
    address = _bind(server, config.listen, config.certificate)
    stop = _stop_signal()
    async with _opened(jobs):
        try:
            await server.start()
            for name in ("", SERVICE):
                await health.set(name, health_pb2.HealthCheckResponse.SERVING)
            log.info("listening on %s%s", address, ", encrypted, for guests only" if guests else "")
            if guests and not guests.all():
                log.warning("nobody is invited yet: impasto guests invite NAME")
            on_ready(address)
            await _until_told(stop, jobs, activity, config.idle_exit_s)
            await health.enter_graceful_shutdown()
            log.info("stopping: %d jobs run, %d wait", jobs.running_count, jobs.queued_count)
            await _first_of(jobs.drain(config.drain_s), stop.get())
        finally:
            jobs.close()
            await server.stop(grace=2)
    log.info("stopped")


@contextlib.asynccontextmanager
async def _opened(jobs: Jobs) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(jobs)
        except JournalError as error:
            raise CannotServe(str(error)) from error
        yield


async def _until_told(
    stop: asyncio.Queue[signal.Signals], jobs: Jobs, activity: _Activity, idle_exit_s: float | None
) -> None:
    told = asyncio.create_task(stop.get())
    broken = asyncio.create_task(jobs.hopeless())
    try:
        while not (told.done() or broken.done()):
            await asyncio.wait(
                [told, broken], timeout=idle_exit_s and min(idle_exit_s, 5), return_when="FIRST_COMPLETED"
            )
            busy = jobs.running_count or jobs.queued_count
            if idle_exit_s and not busy and activity.idle_s >= idle_exit_s:
                log.info("nothing to do for %.0f s", activity.idle_s)
                return
        if broken.done():
            raise CannotServe(broken.result())
    except JournalError as error:
        raise CannotServe(str(error)) from error
    finally:
        told.cancel()
        broken.cancel()


async def _first_of(*coroutines: Coroutine[Any, Any, object]) -> None:
    """Waits for one of them and drops the others."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _options(keepalive_s: float) -> list[tuple[str, int]]:
    every_ms = round(keepalive_s * 1000)
    return [
        # A client whose cable was pulled is noticed after one interval and a third of it.
        ("grpc.keepalive_time_ms", every_ms),
        ("grpc.keepalive_timeout_ms", every_ms // 3),
        # Without this, a ping that isn't answered is given a minute, whatever the keepalive's own timeout says.
        ("grpc.http2.ping_timeout_ms", every_ms // 3),
        # Clients may ping a little more often than that, with and without a call; gRPC's own limit is five minutes.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", every_ms * 2 // 3),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # Two servers on one port would share its calls without a word.
        ("grpc.so_reuseport", 0),
    ]


def _bind(server: grpc.aio.Server, listen: str, certificate: Certificate | None) -> str:
    try:
        if certificate:
            credentials = grpc.ssl_server_credentials([(certificate.key, certificate.chain)])
            port = server.add_secure_port(listen, credentials)
        else:
            port = server.add_insecure_port(listen)
    except RuntimeError:
        port = 0
    if not port:
        raise CannotServe(f"Can't listen on {listen}: it is in use, or no address of this machine.")
    return listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"


def _stop_signal() -> asyncio.Queue[signal.Signals]:
    """Where SIGTERM and SIGINT arrive."""
    told: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C ends the process by itself
            loop.add_signal_handler(number, told.put_nowait, number)
    return told
