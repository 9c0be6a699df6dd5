"""Values of a frame, read one by one. Says in a sentence what doesn't fit."""

from collections.abc import Mapping
from typing import Any

from impasto._exceptions import ParameterError
from impasto._helper._frames import Frame
from impasto._helper._pixels import Raw


def read_raw(size: Any, frame: Frame, part: str) -> Raw:
    """Pixels of a frame. Raises ParameterError if a part is missing."""
    if not isinstance(size, dict) or part not in frame.parts:
        raise ParameterError(f"The pixels of `{part}` are missing.")
    width, height, channels = (int(number(size, name, 0, 1, 1 << 20)) for name in ("width", "height", "channels"))
    return Raw(width, height, channels, frame.parts[part], frame.parts.get(f"{part}_profile", b""))


def text(head: Mapping[str, Any], name: str) -> str:
    """A string; empty if it is left out. Raises ParameterError."""
    value = head.get(name) or ""
    if not isinstance(value, str):
        raise ParameterError(f"{name} is {value!r}; a string was expected.")
    return value.strip()


def read_names(head: Mapping[str, Any], name: str) -> list[str]:
    """A list of strings; empty if it is left out. Raises ParameterError."""
    values = head.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ParameterError(f"{name} is {values!r}; a list of names was expected.")
    return values


def number(head: Mapping[str, Any], name: str, default: float, minimum: float, maximum: float) -> float:
    """A number in its range. Raises ParameterError."""
    value = head.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not minimum <= value <= maximum:
        raise ParameterError(f"{name} is {value!r}; a number from {minimum:g} to {maximum:g} was expected.")
    return value
