"""What the plug-in remembers over sessions, and what it does when the disk does not let it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from history import painted as painted_room  # type: ignore[import-not-found]
from history.choices import Choices  # type: ignore[import-not-found]
from history.painted import Painted, PaintedFolder, key_of


def one(name: str, time: float, **fields: Any) -> Painted:
    values = {"of": "/a.xcf#2", "settings": {"strength": 70.0}, "server": "local", "job": "jobs/1", "width": 512,
              "height": 341, "seconds": 9.5}  # fmt: skip
    return Painted(name=name, time=time, **{**values, **fields})


def test_paintings_are_there_again_in_the_next_session_the_newest_first(tmp_path: Path) -> None:
    PaintedFolder(tmp_path).keep(one("Night", 1), b"a picture")
    PaintedFolder(tmp_path).keep(one("Noon", 2))
    PaintedFolder(tmp_path).keep(one("Ink", 3, of="/b.xcf#2"))
    folder = PaintedFolder(tmp_path)
    assert [painted.name for painted in folder.of("/a.xcf#2")] == ["Noon", "Night"]
    night = folder.of("/a.xcf#2")[1]
    assert night.settings == {"strength": 70.0}
    assert folder.picture_path(night).read_bytes() == b"a picture"


def test_a_favourite_stays_when_old_ones_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(painted_room, "MOST_KEPT", 2)
    folder = PaintedFolder(tmp_path)
    folder.keep(one("first", 1), b"x")
    folder.mark(folder.of("/a.xcf#2")[0], True)
    for number in range(2, 6):
        folder.keep(one(str(number), number), b"x")
    assert [painted.name for painted in folder.of("/a.xcf#2")] == ["5", "4", "first"]
    assert len(list(tmp_path.glob("*.jpg"))) == 3


def test_what_was_forgotten_is_gone_with_its_picture(tmp_path: Path) -> None:
    folder = PaintedFolder(tmp_path)
    folder.keep(one("Night", 1), b"x")
    folder.forget(folder.of("/a.xcf#2")[0])
    assert list(tmp_path.iterdir()) == []


def test_broken_and_foreign_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"of": "/a.x')
    (tmp_path / "other.json").write_text('{"from": "a later version"}')
    (tmp_path / "list.json").write_text("[]")
    folder = PaintedFolder(tmp_path)
    folder.keep(one("Night", 1))
    assert [painted.name for painted in folder.of("/a.xcf#2")] == ["Night"]


def test_a_disk_that_takes_nothing_costs_nothing_but_the_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    PaintedFolder(tmp_path / "file" / "below").keep(one("Night", 1), b"x")
    choices = Choices(tmp_path / "file" / "choices.json")
    assert choices.toggle_favourite("night-swirl")
    assert choices.favourites == ["night-swirl"]


def test_layers_are_told_apart() -> None:
    keys = [("/a.xcf", "1.1", 2), ("/a.xcf", "1.1", 3), ("/b.xcf", "1.1", 2), ("", "1.1", 2), ("", "2.1", 2)]
    assert len({key_of(*key) for key in keys}) == 5
    assert key_of("/a.xcf", "1.1", 2) == key_of("/a.xcf", "9.1", 2)


def test_choices_are_there_again(tmp_path: Path) -> None:
    choices = Choices(tmp_path / "x" / "choices.json")
    choices.used_file("/a.png")
    choices.used_file("/b.png")
    choices.used_file("/a.png")
    choices.add_folder("/pictures")
    choices.keep_preset("calm", {"strength": 20.0})
    choices.keep_window_size(900, 700)
    choices.toggle_favourite("ink")
    again = Choices(tmp_path / "x" / "choices.json")
    assert again.recent_files == ["/a.png", "/b.png"]
    assert (again.folders, again.presets) == (["/pictures"], {"calm": {"strength": 20.0}})
    assert (again.window_size, again.favourites) == ((900, 700), ["ink"])
    again.forget_preset("calm")
    again.remove_folder("/pictures")
    assert not again.toggle_favourite("ink")
    last = Choices(tmp_path / "x" / "choices.json")
    assert (last.presets, last.folders, last.favourites) == ({}, [], [])


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"presets": 3, "favourites": [1, "a"], "window_size": ["x", 1]}'])
def test_a_broken_file_of_choices_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "choices.json").write_text(text)
    choices = Choices(tmp_path / "choices.json")
    assert (choices.presets, choices.window_size) == ({}, None)
    choices.used_file("/a.png")
    assert json.loads((tmp_path / "choices.json").read_text())["recent_files"] == ["/a.png"]
