"""In whose manner: a style of the gallery, a file, pixels, or a mixture of these, read from a frame."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto._exceptions import ParameterError
from impasto._helper._fields import number, read_raw, text
from impasto._helper._frames import Frame
from impasto._helper._pixels import LARGEST_STYLE_PX, cropped
from impasto._images import read_file
from impasto._requests import WeightedStyle, about, style_message
from impasto.v1 import job_pb2

NO_STYLE = "No style was chosen: take one from the gallery, a file or a layer."
MOST_STYLES = 16
CROP = ("x", "y", "width", "height")
ROUNDED = 0.001
"""So much a crop may reach beyond the picture: its numbers were rounded."""


@dataclass(frozen=True, slots=True)
class StyleChoice:
    """One style of a mixture: the gallery's name of it, or else a picture's file."""

    gallery: str
    picture: bytes
    weight: float


def read_styles(style: Any, frame: Frame) -> tuple[StyleChoice, ...]:
    """All styles of a request. Raises ParameterError or ImageError."""
    if not isinstance(style, dict):
        raise ParameterError(NO_STYLE)
    mixture = style.get("mixture")
    if mixture is None:
        return (read_style(style, frame, "style"),)
    if not isinstance(mixture, list) or not 0 < len(mixture) <= MOST_STYLES:
        raise ParameterError(f"A mixture is a list of 1 to {MOST_STYLES} styles.")
    if not all(isinstance(entry, dict) for entry in mixture):
        raise ParameterError(NO_STYLE)
    return tuple(read_style(entry, frame, text(entry, "part") or "style") for entry in mixture)


def read_style(style: Mapping[str, Any], frame: Frame, part: str) -> StyleChoice:
    """A gallery style's name, a file's path, or the pixels of a part."""
    weight = number(style, "weight", 1, 0, 1e6)
    if weight == 0:
        raise ParameterError("A style's weight has to be above 0; leave out what shall have no share.")
    if gallery := text(style, "gallery"):
        return StyleChoice(gallery, b"", weight)
    if path := text(style, "file"):
        # The file itself: a name that looks like a gallery style's must not be taken for one.
        data = read_file(Path(path))
        return StyleChoice("", cropped(data, read_crop(style)) if "crop" in style else data, weight)
    if "width" in style:
        return StyleChoice("", read_raw(style, frame, part).png(LARGEST_STYLE_PX), weight)
    raise ParameterError(NO_STYLE)


def read_crop(style: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Which part of a picture is meant: x, y, width and height, 0 to 1 of what is seen. Raises ParameterError."""
    crop = style["crop"]
    if isinstance(crop, list) and len(crop) == 4:
        values = dict(zip(CROP, crop, strict=True))
        x, y, width, height = (number(values, name, 0, 0, 1) for name in CROP)
        if width > 0 and height > 0 and max(x + width, y + height) <= 1 + ROUNDED:
            return x, y, width, height
    raise ParameterError(f"crop is {crop!r}; [x, y, width, height] from 0 to 1 within the picture was expected.")


def style_messages(styles: Sequence[StyleChoice], upload: Callable[[bytes], str]) -> list[job_pb2.Style]:
    """The contract's words for them; `upload` brings a picture to the server and returns its name."""
    messages = []
    for index, style in enumerate(styles):
        image = ""
        if not style.gallery:
            with about(f"spec.styles[{index}].image"):
                image = upload(style.picture)
        messages.append(style_message(WeightedStyle(style.gallery, style.gallery, style.weight), image))
    return messages


def title(names: Sequence[str], titles: Mapping[str, str]) -> str:
    """What the gallery calls a style, or those of a mixture that it has; empty for pictures of the painter's own."""
    return " + ".join(titles[name] for name in names if name in titles)
