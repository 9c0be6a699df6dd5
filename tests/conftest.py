"""What every room's tests share: one real server, and real photos at small sizes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.server_process import ServerProcess


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server on loopback that all tests share; those that stop or kill one start their own."""
    with ServerProcess(tmp_path_factory.mktemp("server"), "--max-image-megapixels", "4") as process:
        yield process


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A photo of 96 × 64 pixels (scikit-image, CC0)."""
    from skimage import data  # what needs a GPU is tested on machines that may not have it

    return Image.fromarray(data.coffee()).resize((96, 64), Image.Resampling.LANCZOS)


@pytest.fixture(scope="session")
def photo_png(photo: Image.Image) -> bytes:
    """The photo as a file."""
    buffer = io.BytesIO()
    photo.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def photo_path(photo_png: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photo on disk."""
    path = tmp_path_factory.mktemp("photos") / "coffee.png"
    path.write_bytes(photo_png)
    return path
