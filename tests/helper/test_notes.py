"""What a host wants to remember of a job, on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from impasto._helper import _notes


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_notes, "notes_folder", lambda: tmp_path / "notes")
    return tmp_path / "notes"


def test_a_note_is_found_by_its_job() -> None:
    _notes.keep_note("jobs/1", {"width": 3})
    _notes.keep_note("jobs/2", {"width": 4})
    assert _notes.find_note("jobs/1") == {"width": 3}
    assert _notes.find_note("jobs/3") == {}


def test_a_note_that_cannot_be_read_is_none(folder: Path) -> None:
    _notes.keep_note("jobs/1", {"width": 3})
    (folder / "1.json").write_text("[")
    assert _notes.find_note("jobs/1") == {}


def test_a_folder_that_cannot_be_written_costs_the_note_and_nothing_else(folder: Path) -> None:
    folder.write_text("in the way")
    _notes.keep_note("jobs/1", {"width": 3})
    assert _notes.find_note("jobs/1") == {}


def test_the_oldest_are_forgotten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_notes, "MOST_NOTES", 2)
    for number in range(4):
        _notes.keep_note(f"jobs/{number}", {})
    assert len(list(folder.iterdir())) == 2
