"""Invitations: what one is, where they are kept, and `impasto connect`, which makes them the server of choice."""

import stat
import tomllib

import pytest

import impasto
from impasto import _invitations
from impasto._config import choose_server, config_path, invitations_path, write_server
from tests.server_process import ServerProcess, run_impasto

FINGERPRINT = "mLu2ByCwEAD_nqRHkmdI45LUv44tZofN_wNdfesejtc"
WHOLE = f"impasto://anna.s3-cret_@gpu-box:50051#{FINGERPRINT}"


@pytest.fixture
def configured(private_state):
    """The configuration's folder, which exists."""
    config_path().parent.mkdir(parents=True)
    return config_path().parent


def test_an_invitation_reads_as_it_was_printed():
    for text in (WHOLE, "impasto://anna.x@[::1]:443", WHOLE.replace("#", "/#")):
        assert str(_invitations.parse(text)) == text.replace("/#", "#")
    assert _invitations.parse(WHOLE).address == "gpu-box:50051"


@pytest.mark.parametrize(
    "text",
    [
        "impasto://",
        WHOLE[:-1],
        "impasto://anna@gpu-box:1",
        "impasto://anna.s@",
        "impasto://anna.s@a b:1",
        "impasto://anna.s@gpu-box",
        "impasto://anna.s@local",
        "impasto://anna.s@unix:/run/i.sock",
    ],
)
def test_half_an_invitation_is_refused_without_repeating_it(text):
    with pytest.raises(impasto.ConfigurationError, match="no whole invitation") as caught:
        impasto.Client(text)
    assert "s3-cret" not in str(caught.value)


def test_an_invitation_is_checked_like_any_address():
    with pytest.raises(impasto.ConfigurationError, match="is no server's address") as caught:
        impasto.Client(WHOLE.replace(":50051", ":70000"))
    assert "s3-cret" not in str(caught.value)


def test_nothing_shows_the_token(configured):
    client = impasto.Client(WHOLE)
    assert client.address == "gpu-box:50051"
    assert "s3-cret" not in repr(client._choice)


def test_a_plain_address_finds_the_invitation_that_was_kept(configured):
    _invitations.keep(invitations_path(), _invitations.parse(WHOLE))
    _invitations.keep(invitations_path(), _invitations.parse("impasto://anna.x@other:1"))
    assert str(choose_server("gpu-box:50051").invitation) == WHOLE
    assert choose_server("third:1").invitation is None
    assert choose_server("local").invitation is None
    assert choose_server("unix:/run/i.sock").invitation is None


def test_a_newer_invitation_to_the_same_server_takes_the_place_of_the_older(configured):
    _invitations.keep(invitations_path(), _invitations.parse(WHOLE))
    _invitations.keep(invitations_path(), _invitations.parse(WHOLE.replace("s3-cret_", "new")))
    (kept,) = _invitations.kept(invitations_path())
    assert kept.token == "anna.new"  # noqa: S105
    assert stat.S_IMODE(invitations_path().stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'server = "a:1"\n'),
        ('server = "b:2"\n', 'server = "a:1"\n'),
        ('# mine\n  server="b:2" # old\nother = 3\n', '# mine\nserver = "a:1"\nother = 3\n'),
        ('other = 3\n[table]\nserver = "mine"\n', 'server = "a:1"\nother = 3\n[table]\nserver = "mine"\n'),
    ],
)
def test_the_configuration_file_keeps_what_else_it_says(configured, before, after):
    config_path().write_text(before)
    write_server(config_path(), "a:1")
    assert config_path().read_text() == after
    assert tomllib.loads(after)["server"] == "a:1"
    assert choose_server().address == "a:1"


def test_a_configuration_file_that_is_broken_is_left_alone(configured):
    config_path().write_text("server =")
    with pytest.raises(impasto.ConfigurationError, match="not valid TOML"):
        write_server(config_path(), "a:1")
    assert config_path().read_text() == "server ="


def test_a_configuration_file_that_would_break_is_left_alone(configured):
    config_path().write_text('"server" = "b:2"\n')
    with pytest.raises(impasto.ConfigurationError, match='write server = "a:1" there'):
        write_server(config_path(), "a:1")
    assert config_path().read_text() == '"server" = "b:2"\n'


def test_connect_says_that_the_environment_goes_before_it(private_state):
    done = run_impasto("connect", "local", IMPASTO_SERVER="gpu:1")
    assert "IMPASTO_SERVER goes before that: gpu:1" in done.stderr


def test_connect_makes_a_server_the_one_that_everything_uses(private_state, tmp_path, photo_path):
    with ServerProcess(tmp_path / "house", "--tls") as server:
        done = run_impasto("connect", server.invite("anna"))
        assert f"at {server.address}, encrypted" in done.stdout, done.stderr
        picture = impasto.stylize(photo_path, "mist-ink", recipe="draft", size_px=32, steps=2)
        assert picture.size == (32, 21)
        assert len(run_impasto("jobs", "list", "--json").stdout.splitlines()) == 1
    assert run_impasto("connect", "local").returncode == 0
    assert choose_server().is_local
    # It was kept: the address alone is enough to come back.
    assert choose_server(server.address).invitation is not None


def test_connect_keeps_nothing_that_does_not_work(private_state, tmp_path):
    with ServerProcess(tmp_path / "house", "--tls") as server:
        invitation = server.invite("anna")
        server.invite("anna")
        done = run_impasto("connect", invitation)
        assert (done.returncode, "new invitation" in done.stderr) == (1, True)
    assert choose_server().is_local
    assert not invitations_path().exists()


async def test_the_asyncio_client_comes_in_too(tmp_path, photo):
    with ServerProcess(tmp_path / "house", "--tls") as server:
        async with impasto.AsyncClient(server.invite("anna")) as client:
            picture = await client.stylize(photo, "mist-ink", recipe="draft", size_px=32, steps=2)
            assert picture.size == (32, 21)


def test_a_server_that_does_not_encrypt_is_no_house_for_guests(server):
    client = impasto.Client(f"impasto://anna.x@{server.address}#{FINGERPRINT}")
    with pytest.raises(impasto.ServerUnavailableError, match="does not encrypt"):
        client.server_info()


def test_nobody_at_the_address_is_told_as_always():
    client = impasto.Client(f"impasto://anna.x@127.0.0.1:9#{FINGERPRINT}")
    with pytest.raises(impasto.ServerUnavailableError, match=r"No Impasto server answers at 127\.0\.0\.1:9\. "):
        client.server_info()
