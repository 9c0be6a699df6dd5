"""Styles of the painter's own in the dialog: a part of a picture, layers in a mixture, and what is remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.gimp.conftest import STAND_IN
from tests.gimp.root import GimpRoot, Rehearsed
from tests.gimp.test_window import STYLIZE, Script, dialog, requests

OTHERS = "[one for one in Gimp.get_images() if one.get_id() != image.get_id()]"
SELECT_THERE = f"do [one.select_rectangle(Gimp.ChannelOps.REPLACE, 24, 16, 48, 32) for one in {OTHERS}]"


@pytest.fixture
def stand_in(gimp: GimpRoot, photo_path: Path) -> GimpRoot:
    """GIMP with the stand-in of the helper, and a picture of 96 × 64 px to take styles from."""
    gimp.use_helper(*STAND_IN)
    gimp.forget_settings()
    (gimp.exchange / "stand_in.log").write_text("")
    (gimp.exchange / "tapestry.png").write_bytes(photo_path.read_bytes())
    return gimp


def played(gimp: GimpRoot, script: Script, screenshots: Path, at: Any = None, **given: Any) -> Any:
    return dialog(Rehearsed(gimp, script, {"procedure": STYLIZE, **given}).play(screenshots, at))


def test_a_part_of_a_file_is_dragged(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "file /t/tapestry.png"],
        ["then", "click Part…"],
        ["then", "wait 1"],
        ["then", "mark part-of-a-file"],
        ["then", "mark part-dragged"],
        ["then", "click Use this part"],
        ["then", "mark part-taken"],
        ["then", "click Generate"],
        ["painted", "mark part-painted"],
        ["then", "click Close"],
    ]
    rehearsed = Rehearsed(stand_in, script, {"procedure": STYLIZE})

    def drag() -> None:
        window = rehearsed.xdotool("search", "--onlyvisible", "--name", "A part of the style").split()[-1]
        width, height = rehearsed.window_size("A part of the style")
        rehearsed.xdotool("mousemove", "--window", window, str(width // 4), str(height // 3))
        rehearsed.xdotool("mousedown", "1")
        for share in (0.4, 0.6, 0.75):
            rehearsed.xdotool("mousemove", "--window", window, str(round(width * share)), str(round(height * 0.66)))
        rehearsed.xdotool("mouseup", "1")

    answer = dialog(rehearsed.play(screenshots, {"part-of-a-file": drag}))
    assert answer["status"] == "success", answer
    (paint,) = requests(stand_in)
    assert paint["style"]["file"] == "/t/tapestry.png"
    x, y, width, height = paint["style"]["crop"]
    assert x == pytest.approx(0.25, abs=0.05)
    assert width == pytest.approx(0.5, abs=0.05)
    assert 0.1 < y < 0.5
    assert 0.2 < height < 0.6


def test_keys_alone_choose_a_part(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "file /t/tapestry.png"],
        ["then", "click Part…"],
        ["then", "wait 1"],
        ["then", "mark part-by-keys"],
        ["then", "click Generate"],
        ["painted", "click Close"],
    ]
    rehearsed = Rehearsed(stand_in, script, {"procedure": STYLIZE})
    keys = ["shift+Left"] * 10 + ["shift+Up"] * 5 + ["Right"] * 3 + ["Return"]
    answer = dialog(rehearsed.play(screenshots, {"part-by-keys": lambda: rehearsed.keys(*keys)}))
    assert answer["status"] == "success", answer
    (paint,) = requests(stand_in)
    assert paint["style"]["crop"] == pytest.approx([0.06, 0, 0.8, 0.9])


def test_what_is_selected_in_a_layer_is_the_style_also_the_next_time(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "click Layer"],
        ["then", "layer tapestry"],
        ["then", SELECT_THERE],
        ["then", "click Part…"],
        ["then", "click What is selected there"],
        ["then", "mark part-selected"],
        ["then", "click Use this part"],
        ["then", "mark part-of-a-layer"],
        ["then", "click Generate"],
        ["painted", "click Close"],
    ]
    answer = played(stand_in, script, screenshots, others=["/t/tapestry.png"], again=True)
    assert answer["again"]["status"] == "success", answer
    first, again = requests(stand_in)
    for paint in (first, again):
        assert (paint["style"]["width"], paint["style"]["height"]) == (48, 32)
        assert paint["received"]["style"] == 48 * 32 * 4


def test_another_picture_is_taken_whole_again(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "file /t/tapestry.png"],
        ["then", "set style-part 0.25 0.25 0.5 0.5"],
        ["then", "click Generate"],
        ["painted", "style style-1"],
        ["then", "click Gallery"],
        ["then", "click Generate"],
        ["painted", "file /t/tapestry.png"],
        ["then", "click Generate"],
        ["painted", "history 2"],
        ["then", "mark part-in-history"],
        ["then", "click Use its settings"],
        ["then", "click Generate"],
        ["painted", "click Close"],
    ]
    answer = played(stand_in, script, screenshots)
    assert answer["status"] == "success", answer
    crop = [0.25, 0.25, 0.5, 0.5]
    assert [paint["style"].get("crop") for paint in requests(stand_in)] == [crop, None, None, crop]


def test_a_mixture_may_have_layers_and_parts(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "click Layer"],
        ["then", "layer tapestry"],
        ["then", SELECT_THERE],
        ["then", "set style-part 0.25 0.25 0.5 0.5"],
        ["then", "click Mix in"],
        ["then", "file /t/tapestry.png"],
        ["then", "click Mix in"],
        ["then", "click Gallery"],
        ["then", "mark mixture-of-all"],
        ["then", "click Generate"],
        ["painted", f"do [Gimp.Display.new(one).delete() for one in {OTHERS}]"],
        ["then", "click Generate"],
        ["rest", "mark mixture-without-its-layer"],
        ["then", "click Copy"],
        ["then", "click Close"],
    ]
    answer = played(stand_in, script, screenshots, others=["/t/tapestry.png"])
    assert answer["status"] == "success", answer
    (paint,) = requests(stand_in)
    gallery, layer, file = paint["style"]["mixture"]
    assert gallery == {"weight": 1.0, "gallery": "style-0"}
    assert (layer["weight"], layer["width"], layer["height"], layer["part"]) == (0.5, 48, 32, "style1")
    assert paint["received"]["style1"] == 48 * 32 * 4
    assert file == {"weight": 0.5, "file": "/t/tapestry.png"}


def test_the_history_remembers_a_style_layer_as_long_as_it_is_open(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "click Layer"],
        ["then", "layer tapestry"],
        ["then", "click Generate"],
        ["painted", "click Gallery"],
        ["then", "click Generate"],
        ["painted", "history 1"],
        ["then", "click Use its settings"],
        ["then", "click Generate"],
        ["painted", f"do [Gimp.Display.new(one).delete() for one in {OTHERS}]"],
        ["then", "history 0"],
        ["then", "click Use its settings"],
        ["then", "mark history-without-its-layer"],
        ["then", "click Generate"],
        ["painted", "click Close"],
    ]
    answer = played(stand_in, script, screenshots, others=["/t/tapestry.png"])
    assert answer["status"] == "success", answer
    styles = [paint["style"] for paint in requests(stand_in)]
    assert [style.get("width") for style in styles] == [96, None, 96, None]
    assert [style.get("gallery") for style in styles] == [None, "style-0", None, "style-0"]


def test_a_layer_of_an_image_that_was_opened_meanwhile_can_be_chosen(stand_in: GimpRoot, screenshots: Path) -> None:
    load = "Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, common.file_of('/t/tapestry.png'))"
    script = [
        ["gallery", "click Layer"],
        ["then", "click Gallery"],
        ["then", f"do {load}"],
        ["then", "click Layer"],
        ["then", "mark layer-opened-meanwhile"],
        ["then", "click Generate"],
        ["painted", "click Close"],
    ]
    answer = played(stand_in, script, screenshots)
    assert answer["status"] == "success", answer
    (paint,) = requests(stand_in)
    assert (paint["style"].get("width"), paint["style"].get("height")) == (96, 64)


def test_a_preset_finds_its_layer_in_an_image_that_was_opened_meanwhile(stand_in: GimpRoot, screenshots: Path) -> None:
    key = f"layer_key({OTHERS}[0].get_layers()[0])"
    script = [
        ["gallery", "do Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, common.file_of('/t/tapestry.png'))"],
        ["then", f"do from painting.layer_key import layer_key; dialog._use_preset({{'style-layer': {key}}})"],
        ["then", "mark preset-with-a-layer"],
        ["then", "click Generate"],
        ["painted", "do open('/t/said', 'w').write(dialog._styles._stack.get_visible_child_name())"],
        ["then", "click Close"],
    ]
    answer = played(stand_in, script, screenshots)
    assert answer["status"] == "success", answer
    (paint,) = requests(stand_in)
    assert paint["style"].get("width") == 96
    assert (stand_in.exchange / "said").read_text() == "layer"


def test_a_style_layer_that_is_gone_is_said_and_nothing_else_is_painted(stand_in: GimpRoot, screenshots: Path) -> None:
    """By Ctrl+F: there is no window to see that the style would be another one."""
    script = [
        ["gallery", "click Layer"],
        ["then", "layer tapestry"],
        ["then", "click Generate"],
        ["painted", f"do [Gimp.Display.new(one).delete() for one in {OTHERS}]"],
        ["then", "click Close"],
    ]
    answer = played(stand_in, script, screenshots, others=["/t/tapestry.png"], again=True)
    assert answer["status"] == "success", answer
    assert answer["again"]["status"] == "execution-error"
    assert answer["again"]["error"] == "The style's layer is gone: choose another style."
    assert len(requests(stand_in)) == 1
