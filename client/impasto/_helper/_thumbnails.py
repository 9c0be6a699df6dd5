"""Small pictures of a gallery's styles and of results: fetched once, then kept on this machine's disk."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from impasto._events import StoredImage
from impasto._exceptions import ImpastoError, NotFoundError
from impasto._helper._answers import Answers
from impasto._helper._finished import remember_thumbnail
from impasto._helper._pixels import rgb_png, srgb_pixels, thumbnail
from impasto._helper._servers import Server
from impasto._whole_file import write_whole

MOST_BYTES = 32 << 20
"""What is kept; the least recently used goes first."""

Small = tuple[int, int, bytes]
"""Width, height and RGB pixels."""


def send_thumbnails(server: Server, jobs: Sequence[str], size_px: int, answers: Answers) -> None:
    """Answers `thumbnails`: one for each job that has one, or without jobs for each gallery style, then `end`."""
    has_kept = False
    for name, image in result_thumbnails(server, jobs) if jobs else gallery_pictures(server):
        small = kept(image, size_px)
        if small is None:
            small = thumbnail(server.client.download(image), size_px)
            keep(image, size_px, small)
            has_kept = True
        width, height, pixels = small
        answers.tell("thumbnail", {"pixels": pixels}, name=name, width=width, height=height)
    answers.tell("end")
    if has_kept:
        forget_oldest()


def gallery_pictures(server: Server) -> Iterator[tuple[str, StoredImage]]:
    """The styles' pictures, by name."""
    for style in server.info().gallery:
        yield style.name, style.image


def result_thumbnails(server: Server, jobs: Sequence[str]) -> Iterator[tuple[str, StoredImage]]:
    """Those that the server has made of results; a job that is gone, goes on or has none is left out."""
    for name in jobs:
        if name not in server.thumbnails:
            with contextlib.suppress(NotFoundError):
                remember_thumbnail(server, server.client.job(name))
        if image := server.thumbnails.get(name):
            yield name, image


def cache_folder() -> Path:
    """Where small pictures are kept."""
    import platformdirs

    return platformdirs.user_cache_path("impasto") / "thumbnails"


def path_of(image: StoredImage, size_px: int) -> Path:
    """An image's own name is the SHA-256 of its bytes, so what is kept is never out of date."""
    return cache_folder() / f"{image.name.removeprefix('images/')}-{size_px}.png"


def kept(image: StoredImage, size_px: int) -> Small | None:
    """What was kept of an image; None if nothing was, or if it can't be read."""
    path = path_of(image, size_px)
    try:
        data = path.read_bytes()
        os.utime(path)
        return srgb_pixels(data)
    except (OSError, ImpastoError):
        return None


def keep(image: StoredImage, size_px: int, small: Small) -> None:
    """Puts it on the disk. A disk that is full costs nothing but time later."""
    path = path_of(image, size_px)
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, rgb_png(*small))


def forget_oldest() -> None:
    """Keeps no more than `MOST_BYTES`."""
    with contextlib.suppress(OSError):  # another process forgets, too
        files = sorted(
            ((path, path.stat()) for path in cache_folder().glob("*.png")), key=lambda file: file[1].st_mtime
        )
        too_many = sum(status.st_size for _, status in files) - MOST_BYTES
        for path, status in files:
            if too_many <= 0:
                return
            path.unlink(missing_ok=True)
            too_many -= status.st_size
