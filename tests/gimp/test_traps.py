"""What trapped a painter, or lost what they had chosen: one test for each thing that was seen in the real GIMP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gimp.conftest import STAND_IN
from tests.gimp.root import GimpRoot, Ran, Rehearsed, measured
from tests.gimp.test_window import STYLIZE, Script, dialog, requests

USABLE_S = 0.3
"""So soon a window has to be usable again, whoever is dead."""


@pytest.fixture
def stand_in(gimp: GimpRoot) -> Iterator[GimpRoot]:
    """GIMP with the stand-in of the helper, as it is for somebody new."""
    gimp.use_helper(*STAND_IN)
    gimp.forget_settings()
    (gimp.exchange / "stand_in.log").write_text("")
    yield gimp
    (gimp.exchange / "hello.json").unlink(missing_ok=True)


def played(gimp: GimpRoot, script: Script, screenshots: Path, at: Any = None, **given: Any) -> tuple[Rehearsed, Any]:
    """The rehearsal and what became of the image."""
    rehearsed = Rehearsed(gimp, script, {"procedure": STYLIZE, **given})
    ran: Ran = rehearsed.play(screenshots, at)
    return rehearsed, dialog(ran)


def names(answer: Any) -> list[str]:
    return [layer["name"] for layer in answer["layers"]]


@pytest.mark.parametrize("server", ["die", "babble"])
def test_a_helper_that_dies_while_it_paints_can_be_started_again(
    stand_in: GimpRoot, screenshots: Path, server: str
) -> None:
    script = [
        ["gallery", f"set server {server}"],
        ["then", "click Generate"],
        ["lost", "mark helper-died"],
        ["then", "set server echo"],
        ["then", "click Start it again"],
        ["gallery", "click Generate"],
        ["painted", "click Close"],
    ]
    _, answer = played(stand_in, script, screenshots)
    assert answer["status"] == "success", answer
    assert names(answer) == ["style-0", "photo"]


def test_a_helper_that_dies_at_its_start_leaves_a_window_that_closes(gimp: GimpRoot, screenshots: Path) -> None:
    gimp.use_helper("/bin/false")
    gimp.forget_settings()
    script = [
        ["lost", "click Generate"],
        ["rest", "mark helper-dead-at-start"],
        ["then", "click Close"],
    ]
    _, answer = played(gimp, script, screenshots)
    assert answer["status"] == "cancel", answer
    assert names(answer) == ["photo"]


def test_without_a_helper_the_window_says_what_to_do(gimp: GimpRoot, screenshots: Path) -> None:
    gimp.use_helper("/nowhere/python3")
    gimp.forget_settings()
    script = [
        ["broken", "mark no-helper"],
        ["then", "click Back to the painting"],
        ["then", "click Generate"],
        ["rest", "click Set up…"],
        ["then", "click Close"],
    ]
    _, answer = played(gimp, script, screenshots)
    assert answer["status"] == "cancel", answer


@pytest.mark.parametrize("server", ["silent", "stopped"])
def test_cancel_works_whoever_is_dead(stand_in: GimpRoot, screenshots: Path, server: str) -> None:
    script = [
        ["gallery", f"set server {server}"],
        ["then", "click Generate"],
        ["then", "wait 1"],
        ["then", "click Cancel painting"],
        ["rest", "mark cancelled"],
        ["then", "click Close"],
    ]
    rehearsed, answer = played(stand_in, script, screenshots)
    assert answer["status"] == "cancel", answer
    took = rehearsed.seconds_between("click Cancel painting", "rest")
    measured(f"cancel, with a helper that is {server}: window usable", took, USABLE_S)


def test_a_helper_that_hangs_is_noticed(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "set server stopped"],
        ["then", "click Generate"],
        ["lost", "mark helper-hangs"],
        ["then", "set server echo"],
        ["then", "click Start it again"],
        ["gallery", "click Generate"],
        ["painted", "click Close"],
    ]
    _, answer = played(stand_in, script, screenshots)
    assert answer["status"] == "success", answer
    assert not stand_in.processes("stand_in.py")


def test_a_style_file_is_remembered_when_the_window_closes(
    stand_in: GimpRoot, screenshots: Path, photo_path: Path
) -> None:
    """Destroying the window once took it for another choice, and Ctrl+F painted another style."""
    (stand_in.exchange / "tapestry.png").write_bytes(photo_path.read_bytes())
    script = [
        ["gallery", "file /t/tapestry.png"],
        ["then", "click Generate"],
        ["painted", "click Close"],
    ]
    _, answer = played(stand_in, script, screenshots, again=True)
    assert answer["again"]["status"] == "success", answer
    first, again = requests(stand_in)
    assert first["style"]["file"].lstrip("/") == again["style"]["file"].lstrip("/") == "t/tapestry.png"


def test_the_layer_that_was_painted_stays_the_one_to_paint(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [["gallery", "click Generate"], ["painted", "click Close"]]
    _, answer = played(stand_in, script, screenshots, again=True)
    assert answer["selected"] == answer["again"]["selected"] == ["photo"]
    # The newest lies on top, where it is seen.
    assert names(answer["again"]) == ["style-0 #1", "style-0", "photo"]


MEANWHILE = {
    "selection cleared": "Gimp.Selection.none(image)",
    "layer moved": "layer.set_offsets(30, 20)",
    "layer scaled": "layer.scale(480, 320, True)",
    "layer deleted": "image.remove_layer(layer)",
    "layer renamed": "layer.set_name('other')",
}


@pytest.mark.parametrize("change", MEANWHILE)
def test_the_painting_goes_to_where_the_layer_was(stand_in: GimpRoot, screenshots: Path, change: str) -> None:
    script = [
        ["shown", "do image.select_ellipse(Gimp.ChannelOps.REPLACE, 40, 30, 100, 80)"],
        ["gallery", "set server slow"],
        ["then", "click Generate"],
        ["step 8", f"do {MEANWHILE[change]}"],
        ["painted", "mark meanwhile"],
        ["then", "click Close"],
    ]
    _, answer = played(stand_in, script, screenshots)
    assert answer["status"] == "success", answer
    painted = answer["layers"][0]
    assert (painted["name"], painted["size"], painted["offsets"]) == ("style-0", [240, 160], [0, 0])
    # As much as the ellipse is, soft edges included.
    assert answer["alpha"][0] / 255 == pytest.approx(3.14159 * 50 * 40, rel=0.02)


def test_a_painting_whose_image_was_closed_is_in_a_new_one(stand_in: GimpRoot, screenshots: Path) -> None:
    close = "Gimp.Display.delete(Gimp.default_display())"
    script = [
        # GIMP keeps the last display, empty.
        ["shown", "do Gimp.Display.new(image.duplicate())"],
        ["gallery", "set server slow"],
        ["then", "click Generate"],
        ["step 8", f"do {close}"],
        ["painted", "mark image-closed"],
        ["then", "click Close"],
    ]
    _, answer = played(stand_in, script, screenshots)
    assert answer["status"] == "success", answer
    assert sorted(names(image) for image in answer["images"]) == [["photo"], ["style-0"]]


def test_after_the_last_image_was_closed_the_dialog_says_where_the_painting_is(
    stand_in: GimpRoot, screenshots: Path
) -> None:
    """GIMP keeps its last window, empty, and doesn't tell: the painting goes into an image that nobody sees."""
    script = [
        ["gallery", "set server slow"],
        ["then", "click Generate"],
        ["step 8", "do Gimp.Display.delete(Gimp.default_display())"],
        ["painted", "mark last-image-closed"],
        ["then", "do open('/t/said', 'w').write(dialog._progress._sentence._label.get_text())"],
        ["then", "click Close"],
    ]
    _, answer = played(stand_in, script, screenshots)
    assert answer["status"] == "success", answer
    said = (stand_in.exchange / "said").read_text()
    assert said == "Painted: style-0 is a new layer; if its image was closed, Recover… has it."


def test_a_painting_that_arrives_without_the_window_is_announced_if_nobody_may_see_it(
    stand_in: GimpRoot, screenshots: Path
) -> None:
    script = [
        ["gallery", "set server slow"],
        ["then", "click Generate"],
        ["step 8", "do Gimp.Display.delete(Gimp.default_display())"],
        ["then", "click Close, let it paint"],
    ]
    rehearsed = Rehearsed(stand_in, script, {"procedure": STYLIZE, "looks": True})
    found: list[str] = []

    def look() -> None:
        found.extend(rehearsed.xdotool("search", "--sync", "--onlyvisible", "--name", "GIMP Message").split())
        rehearsed.screenshot(screenshots / "announced.png")
        rehearsed.seen()

    rehearsed.play(screenshots, meanwhile=look)
    assert found


def test_a_long_log_does_not_move_the_window(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "mark before-the-log"],
        ["then", "set server verbose"],
        ["then", "click Generate"],
        ["rest", "mark long-log"],
        ["then", "click Details…"],
        ["then", "mark details"],
        ["then", "click Close details"],
        ["then", "click Close"],
    ]
    sizes: list[tuple[int, int]] = []
    rehearsed = Rehearsed(stand_in, script, {"procedure": STYLIZE})
    measure = lambda: sizes.append(rehearsed.window_size("Neural Style"))  # noqa: E731
    rehearsed.play(screenshots, {"before-the-log": measure, "long-log": measure})
    assert sizes[0] == sizes[1]


def test_a_broken_configuration_is_said(stand_in: GimpRoot, screenshots: Path) -> None:
    broken = {"sentence": "config.toml is not valid TOML.", "details": "line 1"}
    (stand_in.exchange / "hello.json").write_text(json.dumps({"default_server": "", "configuration_error": broken}))
    script = [["broken", "mark broken-configuration"], ["then", "click Details…"], ["then", "click Close details"],
              ["then", "click Close"]]  # fmt: skip
    _, answer = played(stand_in, script, screenshots)
    assert answer["status"] == "cancel", answer


def test_a_helper_of_another_version_is_said(stand_in: GimpRoot, screenshots: Path) -> None:
    (stand_in.exchange / "hello.json").write_text(json.dumps({"protocol": 1}))
    # Still, once the server has answered: a complaint can be copied, an answer can't.
    script = [["server", "click Copy"], ["then", "mark other-version"], ["then", "click Close"]]
    _, answer = played(stand_in, script, screenshots)
    assert answer["status"] == "cancel", answer


def test_the_dialog_stays_and_keeps_what_was_painted(stand_in: GimpRoot, screenshots: Path) -> None:
    """Two paintings without closing it; the next session still has them, and uses the settings of one."""
    script = [
        ["gallery", "set strength 70"],
        ["then", "click Generate"],
        ["painted", "style style-2"],
        ["then", "set strength 20"],
        ["then", "click Generate"],
        ["painted", "mark two-painted"],
        ["then", "history 1"],
        ["then", "click Use its settings"],
        ["then", "click Paint on"],
        ["then", "mark goes-on"],
        ["then", "click Generate"],
        ["painted", "click Close"],
    ]
    _, answer = played(stand_in, script, screenshots)
    assert names(answer) == ["style-0 #1", "style-2", "style-0", "photo"]
    first, second, third = requests(stand_in)
    assert [paint["strength"] for paint in (first, second, third)] == [70, 20, 70]
    assert (first["continue_from"], third["continue_from"]) == ("", "jobs/0")
    assert third["style"] == {"gallery": "style-0"}


def test_the_next_session_still_has_what_was_painted(stand_in: GimpRoot, screenshots: Path, photo_path: Path) -> None:
    (stand_in.exchange / "photo.png").write_bytes(photo_path.read_bytes())
    script = [["gallery", "set strength 70"], ["then", "click Generate"], ["painted", "click Close"]]
    _, answer = played(stand_in, script, screenshots, saved="/t/kept.xcf")
    assert answer["status"] == "success", answer
    script = [
        ["gallery", "set strength 20"],
        ["then", "history 0"],
        ["then", "mark next-session"],
        ["then", "click Use its settings"],
        ["then", "click Generate"],
        ["painted", "click Close"],
    ]
    _, answer = played(stand_in, script, screenshots, saved="/t/kept.xcf")
    assert answer["status"] == "success", answer
    assert [paint["strength"] for paint in requests(stand_in)] == [70, 70]


def test_close_and_let_it_paint(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "set server slow"],
        ["then", "click Generate"],
        ["step 8", "click Close, let it paint"],
    ]
    _, answer = played(stand_in, script, screenshots)
    assert answer["status"] == "success", answer
    assert names(answer) == ["style-0", "photo"]


def test_several_layers_are_painted_one_after_the_other(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "click Generate"],
        ["painted", "wait 3"],
        ["then", "mark two-layers"],
        ["then", "click Close"],
    ]
    _, answer = played(stand_in, script, screenshots, second_layer=True)
    assert answer["status"] == "success", answer
    assert names(answer) == ["style-0", "second", "style-0 #1", "photo"]


def test_several_layers_arrive_though_the_window_was_closed(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "set server slow"],
        ["then", "click Generate"],
        ["step 8", "click Close, let it paint"],
    ]
    _, answer = played(stand_in, script, screenshots, second_layer=True)
    assert answer["status"] == "success", answer
    assert names(answer) == ["style-0", "second", "style-0 #1", "photo"]


def test_a_mixture(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "style style-1"],
        ["then", "click Mix in"],
        ["then", "style style-3"],
        ["then", "mark mixture"],
        ["then", "click Generate"],
        ["painted", "click Close"],
    ]
    _, answer = played(stand_in, script, screenshots)
    assert answer["status"] == "success", answer
    (paint,) = requests(stand_in)
    mixed = [{"weight": 1.0, "gallery": "style-3"}, {"weight": 0.5, "gallery": "style-1"}]
    assert paint["style"] == {"mixture": mixed}


def test_whatever_happens_the_window_can_be_used_and_paints_in_the_end(stand_in: GimpRoot, screenshots: Path) -> None:
    """200 random things: paintings, cancels, servers of all kinds, a helper killed and stopped, the layer moved."""
    script = [
        ["gallery", "chaos 200 7"],
        ["chaos over", "do Gimp.Selection.none(image)"],
        ["then", "wait 2"],
        ["then", "click Generate"],
        ["painted", "mark after-chaos"],
        ["then", "click Close"],
    ]
    rehearsed = Rehearsed(stand_in, script, {"procedure": STYLIZE})
    ran = rehearsed.play(screenshots, timeout_s=250)
    answer = dialog(ran)
    assert answer["status"] == "success", answer
    source = [layer for layer in answer["layers"] if layer["name"].startswith("photo")]
    assert [layer["size"] for layer in source] == [[240, 160]]
    (longest,) = [float(event.split()[1]) for event in rehearsed.events() if event.startswith("longest")]
    measured("200 random things, kills among them: longest time that the window did not answer", longest, USABLE_S)
    assert not stand_in.processes("stand_in.py")
