"""Which server: argument, then environment, then configuration file, then the private local one."""

import os
import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from impasto import _invitations
from impasto._exceptions import ConfigurationError
from impasto._invitations import Invitation

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
    invitation: Invitation | None = None
    """To a server that encrypts; None for one that doesn't."""

    @property
    def is_local(self) -> bool:
        """True for the private local server."""
        return self.address == LOCAL


def choose_server(argument: str | None = None) -> ServerChoice:
    """The server to talk to, with the invitation to it: the address may be one, or there may be one that was kept.

    Raises ConfigurationError for an address or a file that makes no sense.
    """
    if argument:
        return invited(ServerChoice(argument, "the argument"))
    if address := os.environ.get(SERVER_VARIABLE):
        return invited(ServerChoice(address, SERVER_VARIABLE))
    path = config_path()
    if address := server_of_file(path):
        return invited(ServerChoice(address, str(path)))
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


def invitations_path() -> Path:
    """Where invitations are kept, if there are any."""
    return config_path().with_name("invitations")


def invited(choice: ServerChoice) -> ServerChoice:
    """The same choice, checked, with the invitation that goes with it."""
    if _invitations.is_invitation(choice.address):
        invitation = _invitations.parse(choice.address)
        return replace(checked(replace(choice, address=invitation.address)), invitation=invitation)
    choice = checked(choice)
    if choice.is_local or choice.address.startswith("unix:"):
        return choice
    kept = {invitation.address: invitation for invitation in _invitations.kept(invitations_path())}
    return replace(choice, invitation=kept.get(choice.address))


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
            f"HOST:PORT, unix:/path, {LOCAL} or an invitation was expected.{hint}"
        )
    return ServerChoice(address, choice.source)


def write_server(path: Path, address: str) -> None:
    """Sets the key `server` of a configuration file, and leaves the rest as it is. Raises ConfigurationError."""
    import json  # only where it is needed: `import impasto` has a budget

    server_of_file(path)  # what isn't TOML is left to its owner
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    line = f"server = {json.dumps(address)}"  # a string of JSON is one of TOML
    first_table = re.search(r"^\s*\[", text, re.MULTILINE)
    keys, tables = (text[: first_table.start()], text[first_table.start() :]) if first_table else (text, "")
    keys, found = re.subn(r"^\s*server\s*=.*$", lambda _: line, keys, count=1, flags=re.MULTILINE)
    text = (keys if found else f"{line}\n{keys}") + tables
    try:
        understood = tomllib.loads(text).get("server") == address
    except tomllib.TOMLDecodeError:
        understood = False
    if not understood:
        raise ConfigurationError(f"{path} names its server in a way that only you can change: write {line} there.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error}.") from None
