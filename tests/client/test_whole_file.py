"""A file is there whole or not at all, also where threads of one process write at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from impasto._whole_file import write_whole


def test_threads_that_write_the_same_file_leave_one_of_them_whole(tmp_path: Path) -> None:
    """Small pictures of a gallery and of jobs are kept by two threads of a helper."""
    path = tmp_path / "picture.png"
    contents = [bytes((number,)) * 200_000 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        for _round in range(20):
            list(threads.map(lambda data: write_whole(path, data), contents))
            assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(OSError, match="folder"):
        write_whole(path, b"x")
    assert list(tmp_path.iterdir()) == [path]
