"""Which server: argument, then environment, then configuration file, then the private local one."""

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from impasto._exceptions import ConfigurationError

SERVER_VARIABLE = "IMPASTO_SERVER"
STATE_DIR_VARIABLE = "IMPASTO_STATE_DIR"
LOCAL = "local"
"""Stands for the private local server wherever an address may stand."""


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """An address and who chose it."""

    address: str
    """`HOST:PORT`, `unix:/path`, or `local`."""
    source: str
    """For messages: `the argument`, `IMPASTO_SERVER`, the file's path, `the default`."""

    @property
    def is_local(self) -> bool:
        """True for the private local server."""
        return self.address == LOCAL


def choose_server(argument: str | None = None) -> ServerChoice:
    """The server to talk to. Raises ConfigurationError for an address or a file that makes no sense."""
    if argument:
        return checked(ServerChoice(argument, "the argument"))
    if address := os.environ.get(SERVER_VARIABLE):
        return checked(ServerChoice(address, SERVER_VARIABLE))
    path = config_path()
    if address := server_of_file(path):
        return checked(ServerChoice(address, str(path)))
    return ServerChoice(LOCAL, "the default")


def config_path() -> Path:
    """Where the configuration file is, if there is one."""
    import platformdirs  # only where it is needed: `import impasto` has a budget

    return platformdirs.user_config_path("impasto") / "config.toml"


def server_of_file(path: Path) -> str | None:
    """The key `server` of a configuration file; None without the file or the key."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.") from None
    server = values.get("server")
    if server is not None and not isinstance(server, str):
        raise ConfigurationError(f"In {path}, server has to be a string: HOST:PORT.")
    return server


def checked(choice: ServerChoice) -> ServerChoice:
    """The same choice, if its address is one."""
    address = choice.address.strip()
    if address == LOCAL or re.fullmatch(r"unix:.+", address):
        return ServerChoice(address, choice.source)
    if scheme := re.match(r"(https?|grpcs?|tcp)://", address):
        hint = f" Leave {scheme[0]} out."
    elif address.startswith("/"):
        hint = f" For a Unix socket: unix:{address}"
    else:
        hint = ""
    host_port = re.fullmatch(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s/:\[\]]+):(?P<port>\d{1,5})", address)
    if not host_port or not 0 < int(host_port["port"]) < 65536:
        raise ConfigurationError(
            f"{choice.address!r} (from {choice.source}) is no server's address: "
            f"HOST:PORT, unix:/path or {LOCAL} was expected.{hint}"
        )
    return ServerChoice(address, choice.source)
