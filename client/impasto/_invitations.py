"""Invitations: how a server that encrypts is reached. `impasto connect` keeps them, a line each, in a file beside the
configuration; a server's plain address is enough then, wherever one is named.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from impasto._exceptions import ConfigurationError

_SCHEME = "impasto://"
# Compiled where it is used: `import impasto` has a budget.
_SHAPE = r"impasto://(?P<token>[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)@(?P<address>[^@#/\s]+:\d{1,5})/?(#(?P<fingerprint>[A-Za-z0-9_-]{43}))?"


@dataclass(frozen=True, slots=True)
class Invitation:
    """What `impasto guests invite` printed: `impasto://TOKEN@HOST:PORT#FINGERPRINT`."""

    address: str
    token: str = field(repr=False)
    fingerprint: str
    """SHA-256 of the server's certificate, base64url; empty for one that every machine trusts."""

    def __str__(self) -> str:
        """As it was printed."""
        return f"{_SCHEME}{self.token}@{self.address}" + (f"#{self.fingerprint}" if self.fingerprint else "")


def is_invitation(text: str) -> bool:
    """Whether it begins like one."""
    return text.strip().startswith(_SCHEME)


def parse(text: str) -> Invitation:
    """Raises ConfigurationError, which doesn't repeat the token."""
    match = re.fullmatch(_SHAPE, text.strip())
    if not match:
        raise ConfigurationError(
            "This is no whole invitation: impasto://TOKEN@HOST:PORT#FINGERPRINT was expected, "
            "as `impasto guests invite` prints it."
        )
    return Invitation(match["address"], match["token"], match["fingerprint"] or "")


def kept(path: Path) -> list[Invitation]:
    """Those in a file; none without the file. Raises ConfigurationError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}.") from None
    return [parse(line) for line in lines if line.strip()]


def keep(path: Path, invitation: Invitation) -> None:
    """Adds one to a file that nobody else may read, in place of an earlier one to the same server.

    Raises ConfigurationError.
    """
    others = [other for other in kept(path) if other.address != invitation.address]
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.writelines(f"{each}\n" for each in [*others, invitation])
        os.replace(scratch, path)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error}.") from None
