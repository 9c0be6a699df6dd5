"""The guests of a server that encrypts: a name each, and the hash of a token."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from impasto_server import durable

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody who may come in, and since when."""

    name: str
    since: datetime


class Guests:
    """The guests of a state folder: a file each, named after the guest, with the hash of the guest's token.

    Commands beside a running server write them; it reads them at every call, so that they count at once.
    """

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "guests"

    def invite(self, name: str) -> str:
        """A new token for a guest, `NAME.SECRET`; an earlier one counts no more. Raises ValueError, OSError."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no guest's name: letters, digits, - and _ were expected, 64 at most.")
        token = f"{name}.{secrets.token_urlsafe(24)}"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = self._folder / f".{name}.{os.getpid()}"
        scratch.write_text(_hash(token), encoding="ascii")
        durable.replace(scratch, self._folder / name)
        return token

    def remove(self, name: str) -> bool:
        """Lets a guest in no more; False if there is none of this name. Raises OSError."""
        if not _NAME.fullmatch(name):
            return False
        try:
            (self._folder / name).unlink()
        except FileNotFoundError:
            return False
        return True

    def all(self) -> list[Guest]:
        """Everybody invited, by name."""
        if not self._folder.exists():
            return []
        files = sorted(path for path in self._folder.iterdir() if _NAME.fullmatch(path.name))
        return [Guest(path.name, datetime.fromtimestamp(path.stat().st_mtime, UTC)) for path in files]

    def name_of(self, token: str) -> str | None:
        """Whose token it is; None if nobody's."""
        name = token.partition(".")[0]
        if not _NAME.fullmatch(name):
            return None
        try:
            expected = (self._folder / name).read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        return name if hmac.compare_digest(expected, _hash(token)) else None


def _hash(token: str) -> str:
    # 192 random bits need no salt and no slowness.
    return hashlib.sha256(token.encode()).hexdigest()
