"""The sentence for a name that doesn't exist: what there is, and what was probably meant. A leaf like `recipes`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """`There is no recipe 'painterli'. Did you mean 'painterly'? Expected one of: painterly, classic, draft.`"""
    names = list(known)
    nearest = difflib.get_close_matches(str(name).lower(), names, 1)
    meant = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return f"There is no {kind} {name!r}.{meant} Expected one of: {', '.join(names)}."


def smaller(size_px: int) -> str:
    """What to try when memory ran out: half the pixels."""
    return f"try --size {int(size_px / 2**0.5) // 8 * 8}"
