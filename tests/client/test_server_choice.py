"""Which server: argument, environment, configuration file, private one."""

import pytest

import impasto
from impasto._config import choose_server, config_path


@pytest.fixture
def config(private_state):
    """The configuration file's path, in a folder that exists."""
    config_path().parent.mkdir(parents=True)
    return config_path()


def test_the_argument_goes_before_the_environment_before_the_file(config, monkeypatch):
    assert choose_server().is_local
    config.write_text('server = "file:1"')
    assert choose_server().address == "file:1"
    assert choose_server().source == str(config)
    monkeypatch.setenv("IMPASTO_SERVER", "variable:2")
    assert choose_server().address == "variable:2"
    assert choose_server("argument:3").address == "argument:3"


def test_local_overrules_a_configured_server(config, monkeypatch):
    monkeypatch.setenv("IMPASTO_SERVER", "variable:2")
    assert choose_server("local").is_local


def test_a_file_without_the_key_chooses_nothing(config):
    config.write_text("")
    assert choose_server().is_local


@pytest.mark.parametrize("address", ["gpu:50051", "10.0.0.7:1", "[::1]:50051", "unix:/run/i.sock", "a.b-c:65535"])
def test_addresses_are_hosts_with_ports_or_sockets(address):
    assert choose_server(address).address == address


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("gpu", "HOST:PORT, unix:/path, local or an invitation was expected"),
        ("gpu:0", "HOST:PORT"),
        ("gpu:70000", "HOST:PORT"),
        ("http://gpu:1", "Leave http:// out"),
        ("/run/i.sock", "For a Unix socket: unix:/run/i.sock"),
    ],
)
def test_what_is_no_address_is_refused_with_who_said_it(address, text):
    with pytest.raises(impasto.ConfigurationError, match=text) as caught:
        impasto.Client(address)
    assert "(from the argument)" in str(caught.value)


@pytest.mark.parametrize(("content", "text"), [("server = 3", "has to be a string"), ("server =", "not valid TOML")])
def test_a_configuration_file_that_makes_no_sense_is_named(config, content, text):
    config.write_text(content)
    with pytest.raises(impasto.ConfigurationError, match=text) as caught:
        choose_server()
    assert str(config) in str(caught.value)
