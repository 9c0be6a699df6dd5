"""Folders that only the user can enter, and where in them a socket can be."""

import os
import re
import stat
from pathlib import Path

import pytest

import impasto
from impasto._private_folder import make_private, socket_path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Unix sockets")


def test_only_the_user_may_enter_the_sockets_folder(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir(mode=0o777)
    make_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_link_in_the_folders_place_is_not_trusted(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(impasto.LocalServerError, match="belongs to somebody else"):
        make_private(tmp_path / "run")


def test_a_folder_that_cant_be_made_is_an_error_of_ours(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(impasto.LocalServerError, match="can't be made"):
        make_private(tmp_path / "file" / "run")


def test_what_is_made_around_the_folder_is_closed_to_others_too(tmp_path):
    make_private(tmp_path / "state" / "run")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


@pytest.fixture
def placed():
    """`socket_path`, and its folders in /tmp are removed after the test."""
    places = []

    def placed(folder, name="s.sock"):
        path = socket_path(folder, name)
        places.append(path.parent)
        return path

    yield placed
    for place in set(places):
        place.rmdir()


def test_a_socket_is_in_its_own_folder_if_it_can_be(placed, tmp_path):
    assert placed(tmp_path / "run") == tmp_path / "run" / "s.sock"


@pytest.mark.parametrize("name", ["x" * 120, "a#b", "100%", "a,b", "a?b"])
def test_a_folder_that_can_have_no_socket_has_a_stand_in_and_always_the_same(placed, tmp_path, name):
    first = placed(tmp_path / name)
    assert tmp_path not in first.parents
    assert stat.S_IMODE(first.parent.stat().st_mode) == 0o700
    assert placed(tmp_path / name) == first
    assert placed(tmp_path / f"{name}{name}") != first


def test_a_socket_that_can_be_nowhere_is_an_error_of_ours(tmp_path):
    with pytest.raises(impasto.LocalServerError, match=r"neither .* can have one") as caught:
        socket_path(tmp_path / "run", "x" * 120)
    Path(re.search(r"nor (\S+) can", str(caught.value))[1]).rmdir()
