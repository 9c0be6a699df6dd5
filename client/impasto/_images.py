"""Pictures in every form that a caller may hold, to the bytes that travel, and back."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from impasto._events import StoredImage
from impasto._exceptions import ImageError, ImageFileError, ImageFileNotFoundError

if TYPE_CHECKING:
    from PIL.Image import Image


@runtime_checkable
class Array(Protocol):
    """What numpy and its relatives are to us: H×W, H×W×3 or H×W×4 of uint8."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


Picture: TypeAlias = "str | os.PathLike[str] | bytes | Image | Array | StoredImage"
"""A path, the bytes of a file, a PIL image, an array of uint8, or an image that the server holds already."""

IMAGE_NAME = re.compile(r"images/[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes that the server shall hold."""

    data: bytes

    @property
    def sha256(self) -> str:
        """64 lower-case hexadecimal digits: the image's name on every server."""
        return hashlib.sha256(self.data).hexdigest()


def encode(picture: Picture) -> Upload | StoredImage | str:
    """The bytes of a picture, or the name of one that the server holds.

    Files and bytes stay as they are, so nothing is lost; PIL images and arrays become PNG.
    Raises ImageError, or one of its OSErrors for a file that can't be read.
    """
    if isinstance(picture, StoredImage):
        return picture
    if isinstance(picture, str) and IMAGE_NAME.fullmatch(picture):
        return picture
    if isinstance(picture, str | os.PathLike):
        return Upload(read_file(Path(picture)))
    if isinstance(picture, bytes | bytearray | memoryview):
        if not picture:
            raise ImageError("The picture has no bytes at all.", reason="IMAGE_EMPTY")
        return Upload(bytes(picture))
    if isinstance(picture, Array):
        # Old Pillow images have an array interface too, and they may be of any mode.
        if hasattr(picture, "mode") and hasattr(picture, "save"):
            return Upload(png_of_image(picture))  # type: ignore[arg-type]
        return Upload(png_of_array(picture))
    if hasattr(picture, "mode") and hasattr(picture, "save"):
        return Upload(png_of_image(picture))
    hint = " Tensors have to become arrays first: `tensor.numpy()`." if hasattr(picture, "numpy") else ""
    raise ImageError(
        f"A picture can be a path, bytes, a PIL image or an array of uint8, not {type(picture).__name__}.{hint}"
    )


def read_file(path: Path) -> bytes:
    """A file's bytes, or an ImageFileError that says why not."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ImageFileNotFoundError(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise ImageFileError(f"{path} is a folder; a picture's file is wanted.") from None
    except OSError as error:
        raise ImageFileError(f"{path} can't be read: {error.strerror or error}.") from None
    if not data:
        raise ImageError(f"{path} is empty.", reason="IMAGE_EMPTY")
    return data


def png_of_image(image: "Image") -> bytes:
    """A PIL image's first frame as PNG, its colour profile and transparency kept."""
    from io import BytesIO

    if 0 in image.size:
        raise ImageError(f"The picture is {image.width} × {image.height} pixels: there is nothing to paint.")
    if image.mode == "F":
        raise ImageError("A picture of floats (PIL mode F) has no fixed range; convert it to L or RGB first.")
    profile = image.info.get("icc_profile")
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"):
        # The profile describes the old colour space (CMYK, say), so it doesn't come along.
        image, profile = image.convert("RGBA" if image.mode in ("PA", "La", "RGBa") else "RGB"), None
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=1, icc_profile=profile)
    return buffer.getvalue()


def png_of_array(array: Array) -> bytes:
    """An array of uint8 as PNG."""
    import PIL.Image

    interface = array.__array_interface__
    shape, kind = tuple(interface["shape"]), str(interface["typestr"])
    wanted = "uint8 of shape H × W, H × W × 3 or H × W × 4"
    if kind[1:] != "u1":
        hint = " Floats from 0 to 1: `(array * 255).round().astype('uint8')`." if kind[1] == "f" else ""
        raise ImageError(f"An array has to be {wanted}; this one is of type {kind}.{hint}")
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (3, 4)):
        raise ImageError(f"An array has to be {wanted}; this one is {' × '.join(map(str, shape))}.")
    if 0 in shape:
        raise ImageError(f"The array is {' × '.join(map(str, shape))}: there is nothing to paint.")
    return png_of_image(PIL.Image.fromarray(array))


def decode(data: bytes) -> "Image":
    """Bytes from a server as a PIL image, loaded."""
    from io import BytesIO

    import PIL.Image

    try:
        image: Image = PIL.Image.open(BytesIO(data))
        image.load()
    except OSError as error:
        raise ImageError(f"The server sent a picture that can't be read here: {error}.") from None
    return image
