"""The dialog in a real GIMP with a window: what a painter clicks, sees, and gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.gimp.conftest import REAL_HELPER, STAND_IN
from tests.gimp.root import GimpRoot, Ran, Rehearsed
from tests.server_process import ServerProcess

# What GIMP and X need before the procedure is called is not counted.
DIALOG_LIMIT_S = 2.0


def requests(gimp: GimpRoot) -> list[dict[str, Any]]:
    """What the stand-in was asked to paint and to steer."""
    return [json.loads(line) for line in (gimp.exchange / "stand_in.log").read_text().splitlines()]


def play(gimp: GimpRoot, script: list[list[str]], screenshots: Path, **given: Any) -> tuple[Rehearsed, Ran]:
    (gimp.exchange / "stand_in.log").write_text("")
    rehearsed = Rehearsed(gimp, script, given)
    ran = rehearsed.play(screenshots, timeout_s=40)
    assert ran.complaints == []
    return rehearsed, ran


def test_steer_while_it_paints_and_keep_what_is_there(gimp: GimpRoot, screenshots: Path) -> None:
    gimp.use_helper(*STAND_IN)
    script = [
        ["shown", "mark stand-in-shown"],
        ["gallery", "style style-2"],
        ["then", "set server slow"],
        ["then", "test"],
        ["tested", "generate"],
        ["step 10", "set strength 80"],
        ["steered", "mark stand-in-steered"],
        ["reconnecting", "mark stand-in-reconnecting"],
        ["preview", "keep"],
    ]
    rehearsed, ran = play(gimp, script, screenshots)
    answer = ran.answers["dialog"]
    assert answer["status"] == "success", answer
    assert [layer["name"] for layer in answer["layers"]] == ["style-2", "photo"]
    paint, *steers = requests(gimp)
    assert paint["style"] == {"gallery": "style-2"}
    assert paint["preview_px"]
    assert [(steer["ask"], steer["strength"], steer["painting"]) for steer in steers] == [("steer", 80, paint["id"])]
    assert rehearsed.marked_at["stand-in-shown"] - answer["started"] < DIALOG_LIMIT_S


def test_cancel_goes_back_to_the_settings_and_leaves_the_image_alone(gimp: GimpRoot, screenshots: Path) -> None:
    gimp.use_helper(*STAND_IN)
    script = [
        ["gallery", "set server slow"],
        ["then", "generate"],
        ["step 3", "cancel"],
        ["rest", "set server refuse"],
        ["then", "generate"],
        ["rest", "mark stand-in-refused"],
        ["then", "leave"],
    ]
    _, ran = play(gimp, script, screenshots)
    answer = ran.answers["dialog"]
    assert answer["status"] == "cancel", answer
    assert [layer["name"] for layer in answer["layers"]] == ["photo"]


def test_a_server_that_does_not_answer_is_said_in_the_dialog(gimp: GimpRoot, screenshots: Path) -> None:
    gimp.use_helper(*STAND_IN)
    script = [
        ["gallery", "set server nowhere:1"],
        ["then", "test"],
        ["unreachable", "mark stand-in-unreachable"],
        ["then", "leave"],
    ]
    _, ran = play(gimp, script, screenshots)
    assert ran.answers["dialog"]["status"] == "cancel"


def test_the_real_thing_in_a_window(
    gimp: GimpRoot, painter: ServerProcess, screenshots: Path, photo_path: Path
) -> None:
    gimp.use_helper(*REAL_HELPER)
    (gimp.exchange / "photo.png").write_bytes(photo_path.read_bytes())
    script = [
        ["shown", f"set server {painter.address}"],
        ["then", "test"],
        ["gallery", "mark real-gallery"],
        ["then", "set recipe draft"],
        ["then", "style sunset-knife"],
        ["then", "generate"],
        ["step 10", "set smoothness 70"],
        ["steered", "mark real-steered"],
    ]
    _, ran = play(gimp, script, screenshots, photo="/t/photo.png")
    answer = ran.answers["dialog"]
    assert answer["status"] == "success", answer
    assert answer["layers"][0]["name"] == "Coming home"
    assert answer["layers"][0]["size"] == [96, 64]


def test_a_picture_is_recovered_from_the_list(gimp: GimpRoot, painter: ServerProcess, screenshots: Path) -> None:
    gimp.use_helper(*REAL_HELPER)
    rehearsed = Rehearsed(
        gimp,
        [["jobs", "mark recover"], ["then", "insert"]],
        {"procedure": "python-fu-impasto-recover"},
        IMPASTO_SERVER=painter.address,
    )
    answer = rehearsed.play(screenshots).answers["dialog"]
    assert answer["status"] == "success", answer
    assert [layer["name"] for layer in answer["layers"]] == ["sunset-knife", "photo"]
