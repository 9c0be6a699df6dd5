"""Every call says who makes it."""

import asyncio
import contextlib
import getpass
import platform
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

import impasto
from impasto import _owner
from impasto.v1 import job_pb2, stylizer_pb2
from tests.client.conftest import JOB

IMAGE = "images/" + "0" * 64


class Guestbook(grpc.GenericRpcHandler):
    """Knows no RPC, but notes who called which."""

    def __init__(self):
        self.guests = {}

    def service(self, handler_call_details):
        metadata = dict(handler_call_details.invocation_metadata)
        self.guests[handler_call_details.method.rpartition("/")[2]] = metadata.get("impasto-client")


@pytest.fixture
def guestbook():
    """The book, and the address of the house it lies in."""
    book = Guestbook()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[book])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield book, f"127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.fixture
def me(monkeypatch):
    """A user and a host of known names."""
    monkeypatch.setattr(getpass, "getuser", lambda: "ann")
    monkeypatch.setattr(platform, "node", lambda: "attic")
    _owner.owner.cache_clear()
    yield "ann@attic"
    _owner.owner.cache_clear()


RPCS = [method.name for method in stylizer_pb2.DESCRIPTOR.services_by_name["Stylizer"].methods]


def test_every_call_of_the_client_is_signed(guestbook, photo_png, me):
    book, address = guestbook
    with impasto.Client(address) as client:
        job = impasto.Job(client, job_pb2.Job(name=JOB))
        for call in (
            client.server_info,
            lambda: client.upload(photo_png),
            lambda: client.download(IMAGE),
            lambda: client.submit(IMAGE, "mist-ink"),
            job.refresh,
            lambda: list(client.jobs()),
            lambda: list(job),
            lambda: job.update(tv_weight=1),
            job.cancel,
            job.delete,
        ):
            with contextlib.suppress(impasto.ServerTooOldError):
                call()
    assert book.guests == dict.fromkeys(RPCS, me)


def test_every_call_of_the_async_client_is_signed(guestbook, photo_png, me):
    book, address = guestbook

    async def make_calls():
        async with impasto.AsyncClient(address) as client:
            job = impasto.AsyncJob(client, job_pb2.Job(name=JOB))

            async def every(events):
                return [event async for event in events]

            for call in (
                client.server_info,
                lambda: client.upload(photo_png),
                lambda: client.download(IMAGE),
                lambda: client.submit(IMAGE, "mist-ink"),
                job.refresh,
                lambda: every(client.jobs()),
                lambda: every(job),
                lambda: job.update(tv_weight=1),
                job.cancel,
                job.delete,
            ):
                with contextlib.suppress(impasto.ServerTooOldError):
                    await call()

    asyncio.run(make_calls())
    assert book.guests == dict.fromkeys(RPCS, me)


def raise_(error):
    raise error


@pytest.mark.parametrize(
    ("user", "host", "owner"),
    [
        (lambda: "ann", "attic", "ann@attic"),
        (lambda: "Zoë B", "größe", "Zo??B@gr??e"),
        (lambda: "x" * 300, "attic", "x" * 200),
        (lambda: raise_(OSError("no user")), "attic", "@attic"),
        (lambda: raise_(KeyError("getpwuid(): uid not found")), "", "@"),
        (lambda: "a\nb", "c\x00", "a?b@c?"),
    ],
)
def test_a_name_fits_into_metadata_whatever_the_system_says(monkeypatch, user, host, owner):
    monkeypatch.setattr(getpass, "getuser", user)
    monkeypatch.setattr(platform, "node", lambda: host)
    assert _owner.owner.__wrapped__() == owner
