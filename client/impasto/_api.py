"""The one-liner."""

from typing import TYPE_CHECKING, Unpack

from impasto._client import Client
from impasto._images import Picture
from impasto._requests import JobOptions, Styles

if TYPE_CHECKING:
    from PIL.Image import Image


def stylize(content: Picture, style: Styles, *, server: str | None = None, **options: Unpack[JobOptions]) -> "Image":
    """Paints `content` in the manner of `style`: `impasto.stylize("photo.jpg", "sunflowers")`.

    Pictures are paths, bytes, PIL images or arrays of uint8; a style may also be the name of a gallery style.
    `server` and the options are those of `Client` and `Client.submit`. Raises subclasses of ImpastoError.
    """
    with Client(server) as client:
        return client.stylize(content, style, **options)
