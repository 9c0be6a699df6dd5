"""Who calls: what every call tells the server, so that owners take turns. For fairness, not for security."""

import functools
import re
from typing import TypeVar

Stub = TypeVar("Stub")

OWNER_METADATA = "impasto-client"
LONGEST_OWNER = 200


@functools.cache
def owner() -> str:
    """`user@host`; what the system doesn't tell is left blank, what metadata can't hold becomes a question mark."""
    import getpass
    import platform

    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        # No variable names the user, and neither does the password database: a container with a bare user id.
        user = ""
    return re.sub(r"[^!-~]", "?", f"{user}@{platform.node()}")[:LONGEST_OWNER]


def signed(stub: Stub) -> Stub:
    """The same stub, blocking or asyncio's, whose calls say who makes them."""
    metadata = ((OWNER_METADATA, owner()),)
    for name, call in vars(stub).items():
        said = functools.partial(call, metadata=metadata)
        if future := getattr(call, "future", None):
            said.future = functools.partial(future, metadata=metadata)  # type: ignore[attr-defined]
        setattr(stub, name, said)
    return stub
