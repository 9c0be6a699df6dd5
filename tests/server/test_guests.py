"""A server that encrypts: who comes in, who doesn't, and what a guest can see of others."""

from __future__ import annotations

import contextlib
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from PIL import Image

import impasto
from impasto.v1 import job_pb2, stylizer_pb2, stylizer_pb2_grpc
from impasto_server.__main__ import must_encrypt
from impasto_server.service import Guests, own_certificate
from tests import wire
from tests.proxy import Proxy
from tests.server_process import ServerProcess, run_impasto

SMALL: Any = {"recipe": "draft", "size_px": 32, "steps": 2}
LONG: Any = {"size_px": 64, "steps": 9000}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that encrypts with a certificate of its own."""
    with ServerProcess(tmp_path_factory.mktemp("house"), "--tls") as server:
        yield server


@pytest.fixture(scope="module")
def anna(house: ServerProcess) -> Iterator[impasto.Client]:
    with impasto.Client(house.invite("anna")) as client:
        yield client


@pytest.fixture(scope="module")
def bea(house: ServerProcess) -> Iterator[impasto.Client]:
    with impasto.Client(house.invite("bea")) as client:
        yield client


@pytest.fixture
def stranger(house: ServerProcess) -> Iterator[grpc.Channel]:
    """Somebody who encrypts but has no token."""
    host, port = house.address.split(":")
    certificate = ssl.get_server_certificate((host, int(port))).encode()
    options = [("grpc.ssl_target_name_override", "impasto")]
    with grpc.secure_channel(house.address, grpc.ssl_channel_credentials(certificate), options) as channel:
        yield channel


@contextlib.contextmanager
def refused(reason: str) -> Iterator[None]:
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert wire.reason(caught.value) == reason


def test_a_guest_paints(anna: impasto.Client, photo: Image.Image) -> None:
    assert anna.stylize(photo, "mist-ink", **SMALL).size == (32, 21)


def test_a_stranger_gets_an_answer_from_health_only(stranger: grpc.Channel, photo_png: bytes) -> None:
    stub = stylizer_pb2_grpc.StylizerStub(stranger)
    with refused("TOKEN_REQUIRED"):
        stub.GetServerInfo(stylizer_pb2.GetServerInfoRequest())
    with refused("TOKEN_REQUIRED"):
        stub.UploadImage(wire.upload_messages(photo_png))
    with refused("TOKEN_REQUIRED"):
        list(stub.WatchJob(stylizer_pb2.WatchJobRequest(name="jobs/x")))
    with refused("TOKEN_REQUIRED"):
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        list(reflection_pb2_grpc.ServerReflectionStub(stranger).ServerReflectionInfo(iter([request])))
    health = health_pb2_grpc.HealthStub(stranger)
    assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize(
    "authorization",
    ["Bearer anna.wrong", "Bearer nobody.x", "Bearer anna", "Bearer ", "Bearer ../journal.sqlite3.x", "Bearer .anna"],
)
def test_a_token_that_is_nobodys_opens_nothing(
    stranger: grpc.Channel, anna: impasto.Client, authorization: str
) -> None:
    stub = stylizer_pb2_grpc.StylizerStub(stranger)
    with refused("TOKEN_UNKNOWN"):
        stub.GetServerInfo(stylizer_pb2.GetServerInfoRequest(), metadata=(("authorization", authorization),))


def test_a_token_of_another_kind_is_none(stranger: grpc.Channel) -> None:
    stub = stylizer_pb2_grpc.StylizerStub(stranger)
    with refused("TOKEN_REQUIRED"):
        stub.GetServerInfo(stylizer_pb2.GetServerInfoRequest(), metadata=(("authorization", "Basic YTpi"),))


def test_a_client_that_does_not_encrypt_is_told_of_invitations(house: ServerProcess) -> None:
    with impasto.Client(house.address) as client, pytest.raises(impasto.ServerUnavailableError, match="invitation"):
        client.server_info()


def test_a_guest_sees_and_touches_no_jobs_but_its_own(
    anna: impasto.Client, bea: impasto.Client, photo: Image.Image
) -> None:
    ended = anna.submit(photo, "mist-ink", **SMALL)
    ended.result()
    job = anna.submit(photo, "mist-ink", **LONG)
    own = bea.submit(photo, "mist-ink", **SMALL)
    assert [each.id for each in bea.jobs()] == [own.id]
    assert {ended.id, job.id} <= {each.id for each in anna.jobs()}
    assert own.id not in {each.id for each in anna.jobs()}

    with pytest.raises(impasto.JobNotFoundError):
        bea.job(job.id)
    _, _, stub = bea._opened()
    going_on = job_pb2.JobSpec(
        content=bea.upload(photo).name, styles=[job_pb2.Style(gallery_style="mist-ink")], continue_from=ended.name
    )
    for call in (
        lambda: list(stub.WatchJob(stylizer_pb2.WatchJobRequest(name=job.name))),
        lambda: stub.CancelJob(stylizer_pb2.CancelJobRequest(name=job.name)),
        lambda: stub.DeleteJob(stylizer_pb2.DeleteJobRequest(name=ended.name)),
        lambda: stub.UpdateJob(
            stylizer_pb2.UpdateJobRequest(name=job.name, weights=job_pb2.SteeringWeights(style_weight=1))
        ),
        lambda: stub.CreateJob(stylizer_pb2.CreateJobRequest(spec=going_on)),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert wire.reason(caught.value) == "JOB_NOT_FOUND"
    job.refresh()
    assert not job.state.ended
    assert anna.job(ended.id).state is impasto.JobState.SUCCEEDED
    job.cancel()
    own.result()


def test_a_guest_who_is_removed_is_out_at_once_in_the_middle_of_a_stream_too(
    house: ServerProcess, photo: Image.Image
) -> None:
    with impasto.Client(house.invite("carl")) as carl:
        job = carl.submit(photo, "mist-ink", **LONG)
        watch = iter(job.watch(previews=None))
        while not isinstance(next(watch), impasto.Progress):
            pass
        assert run_impasto("guests", "remove", "carl", "--state-dir", house.state_dir).returncode == 0
        with pytest.raises(impasto.AuthenticationError, match="new invitation"):
            for _ in watch:
                pass
        with pytest.raises(impasto.AuthenticationError):
            carl.server_info()
    # The job is still there, for whoever is invited under that name again.
    with impasto.Client(house.invite("carl")) as carl:
        carl.job(job.id).cancel()


def test_a_second_invitation_takes_the_place_of_the_first(house: ServerProcess) -> None:
    first = house.invite("dora")
    second = house.invite("dora")
    with impasto.Client(first) as client, pytest.raises(impasto.AuthenticationError):
        client.server_info()
    with impasto.Client(second) as client:
        assert client.server_info().version == impasto.__version__


def test_a_cut_cable_is_mended_over_tls_too(house: ServerProcess, photo: Image.Image) -> None:
    with Proxy(house.address) as proxy, impasto.Client(house.invite("ella", address=proxy.address)) as ella:
        job = ella.submit(photo, "mist-ink", recipe="draft", size_px=64, steps=60)
        cuts, sequences = 0, []
        for event in job.watch(previews=None):
            sequences += [event.sequence] if event.sequence else []
            if not cuts and isinstance(event, impasto.Progress):
                cuts = proxy.cut()
        assert cuts > 0
        assert sequences == list(range(1, len(sequences) + 1))
        assert job.result().size == (64, 43)


def test_another_server_at_the_address_is_found_out(house: ServerProcess, tmp_path: Path) -> None:
    expected = own_certificate(tmp_path).fingerprint
    invitation = house.invite("fred").partition("#")[0] + f"#{expected}"
    with impasto.Client(invitation) as client, pytest.raises(impasto.AuthenticationError, match="another certificate"):
        client.server_info()


def test_certificate_and_guests_outlast_the_server(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--tls") as server:
        address = server.address
        invitation = server.invite("anna")
    with ServerProcess(tmp_path, "--tls", listen=address), impasto.Client(invitation) as client:
        assert client.server_info().running_jobs == 0
    assert stat.S_IMODE((tmp_path / "certificate.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "guests").stat().st_mode) == 0o700
    secret = invitation.partition(".")[2].partition("@")[0]
    assert secret not in (tmp_path / "guests" / "anna").read_text()


def test_an_operators_own_certificate_is_trusted_the_usual_way(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    chain, key, roots = tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "roots.pem"
    key.write_bytes(issued.private_key_pem.bytes())
    chain.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    authority.cert_pem.write_to_path(str(roots))
    with ServerProcess(tmp_path / "state", "--tls-cert", str(chain), "--tls-key", str(key)) as server:
        address = server.address.replace("127.0.0.1", "localhost")
        invitation = server.invite("anna", "--public", address=address)
        assert "#" not in invitation
        done = run_impasto("info", "--server", invitation, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=str(roots))
        assert f"at {address}" in done.stdout, done.stderr
        done = run_impasto("info", "--server", invitation)  # nobody vouches for it
        assert (done.returncode, "CERTIFICATE_VERIFY_FAILED" in done.stderr) == (1, True)


def test_certificates_that_make_no_sense_are_refused_by_name(tmp_path: Path) -> None:
    authority = trustme.CA()
    one, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    chain, key, wrong, noise = (tmp_path / name for name in ("chain.pem", "key.pem", "wrong.pem", "noise.pem"))
    one.cert_chain_pems[0].write_to_path(str(chain))
    one.private_key_pem.write_to_path(str(key))
    other.private_key_pem.write_to_path(str(wrong))
    noise.write_text("no PEM")

    def said(certificate: Path, private_key: Path) -> str:
        done = run_impasto(
            "serve", "--listen", "127.0.0.1:0", "--state-dir", tmp_path / "state",
            "--tls-cert", certificate, "--tls-key", private_key,
        )  # fmt: skip
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr

    assert "wrong.pem is not the key" in said(chain, wrong)
    assert "nothing.pem can't be read" in said(tmp_path / "nothing.pem", key)
    assert "noise.pem holds no certificate" in said(noise, key)
    assert "noise.pem holds no unencrypted private key" in said(chain, noise)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a.b", "ä", "x" * 65])
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        Guests(tmp_path).invite(name)
    assert not Guests(tmp_path).remove(name)
    assert Guests(tmp_path).all() == []


def test_an_address_without_a_port_is_no_invitation(tmp_path: Path) -> None:
    done = run_impasto("guests", "invite", "anna", "--state-dir", tmp_path, "--address", "gpu-box")
    assert (done.returncode, "'gpu-box' is no HOST:PORT" in done.stderr) == (2, True)
    assert Guests(tmp_path).all() == []


def test_guests_are_listed(tmp_path: Path) -> None:
    for name in ("bea", "anna"):
        Guests(tmp_path).invite(name)
    lines = run_impasto("guests", "list", "--state-dir", tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["anna", "bea"]
    done = run_impasto("guests", "remove", "carl", "--state-dir", tmp_path)
    assert (done.returncode, "carl was not invited" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("listen", "asked", "encrypts"),
    [
        ("127.0.0.1:0", {}, False),
        ("[::1]:50051", {}, False),
        ("localhost:50051", {}, False),
        ("unix:/run/i.sock", {}, False),
        ("0.0.0.0:50051", {}, True),
        ("[::]:50051", {}, True),
        ("gpu-box:50051", {}, True),
        ("127.0.0.1:0", {"tls": True}, True),
        ("gpu-box:50051", {"insecure": True}, False),
    ],
)
def test_beyond_this_machine_it_encrypts_unless_told_not_to(
    listen: str, asked: dict[str, bool], encrypts: bool
) -> None:
    assert must_encrypt(listen, **{"tls": False, "insecure": False, **asked}) is encrypts


@pytest.mark.parametrize(("options", "encrypts"), [((), True), (("--insecure-i-know",), False)])
def test_a_server_beyond_this_machine_takes_a_certificate(
    tmp_path: Path, options: tuple[str, ...], encrypts: bool
) -> None:
    """At an address that no machine has (RFC 5737), so that nothing listens."""
    done = run_impasto("serve", "--listen", "192.0.2.1:50051", "--state-dir", tmp_path, *options)
    assert (done.returncode, "Can't listen on 192.0.2.1:50051" in done.stderr) == (1, True)
    assert (tmp_path / "certificate.pem").exists() is encrypts


def test_half_a_certificate_and_contradictions_are_wrong_usage(tmp_path: Path) -> None:
    for options in (["--tls-cert", "x.pem"], ["--tls", "--insecure-i-know"]):
        done = run_impasto("serve", "--listen", "127.0.0.1:0", "--state-dir", tmp_path, *options)
        assert done.returncode == 2, done.stderr
