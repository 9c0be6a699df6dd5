"""The dialog in a real GIMP with a window: what a painter clicks, sees, and gets."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from impasto import Client, JobState
from tests.gimp.conftest import REAL_HELPER, STAND_IN
from tests.gimp.root import GimpRoot, Ran, Rehearsed, measured
from tests.proxy import Proxy
from tests.server_process import ServerProcess

# What GIMP and X need before the procedure is called is not counted.
DIALOG_GOAL_S = 0.8
STYLIZE, RECOVER = "python-fu-impasto-stylize", "python-fu-impasto-recover"
Script = list[list[str]]


def requests(gimp: GimpRoot) -> list[dict[str, Any]]:
    """What the stand-in was asked to paint and to steer."""
    return [json.loads(line) for line in (gimp.exchange / "stand_in.log").read_text().splitlines()]


@pytest.fixture
def stand_in(gimp: GimpRoot) -> GimpRoot:
    """GIMP with the stand-in of the helper."""
    gimp.use_helper(*STAND_IN)
    gimp.forget_settings()
    (gimp.exchange / "stand_in.log").write_text("")
    return gimp


@pytest.fixture
def real(gimp: GimpRoot) -> GimpRoot:
    """GIMP with the real helper."""
    gimp.use_helper(*REAL_HELPER)
    gimp.forget_settings()
    return gimp


def dialog(ran: Ran) -> Any:
    return ran.answers["dialog"]


def play(gimp: GimpRoot, script: Script, screenshots: Path, **given: Any) -> Any:
    """What became of the image of a dialog that was played with."""
    return dialog(Rehearsed(gimp, script, {"procedure": STYLIZE, **given}).play(screenshots))


def test_steer_while_it_paints_and_keep_what_is_there(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["shown", "mark stand-in-shown"],
        ["gallery", "style style-2"],
        ["then", "set server slow"],
        ["then", "page server"],
        ["then", "click Test"],
        ["tested", "click Generate"],
        ["step 10", "set strength 80"],
        ["steered", "mark stand-in-steered"],
        ["reconnecting", "mark stand-in-reconnecting"],
        ["preview", "click Keep this"],
        ["painted", "click Close"],
    ]
    answer = play(stand_in, script, screenshots)
    assert answer["status"] == "success", answer
    assert [layer["name"] for layer in answer["layers"]] == ["style-2", "photo"]
    paint, *steers = requests(stand_in)
    assert paint["style"] == {"gallery": "style-2"}
    assert paint["preview_px"]
    assert [(steer["ask"], steer["strength"], steer["painting"]) for steer in steers] == [("steer", 80, paint["id"])]


def test_the_dialog_comes_up(stand_in: GimpRoot, screenshots: Path) -> None:
    """The best of three: GIMP's own start is still going on at first."""
    seconds: list[float] = []
    while len(seconds) < 3 and not any(took < DIALOG_GOAL_S for took in seconds):
        rehearsed = Rehearsed(
            stand_in, [["shown", "mark first-sight"], ["then", "click Close"]], {"procedure": STYLIZE}
        )
        answer = dialog(rehearsed.play(screenshots))
        assert answer["status"] == "cancel", answer
        seconds.append(rehearsed.marked_at["first-sight"] - answer["started"])
    measured("the dialog, from the call to its first sight", min(seconds), DIALOG_GOAL_S)


def test_cancel_goes_back_to_the_settings_and_an_error_can_be_copied(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "set server slow"],
        ["then", "click Generate"],
        ["step 3", "click Cancel painting"],
        ["rest", "set server refuse"],
        ["then", "click Generate"],
        ["rest", "click Copy"],
        ["then", "mark stand-in-refused"],
        ["then", "click Close"],
    ]
    rehearsed = Rehearsed(stand_in, script, {"procedure": STYLIZE})
    copied: list[str] = []
    ran = rehearsed.play(screenshots, {"stand-in-refused": lambda: copied.append(rehearsed.clipboard())})
    assert dialog(ran)["status"] == "cancel", dialog(ran)
    assert [layer["name"] for layer in dialog(ran)["layers"]] == ["photo"]
    assert copied == ["The server is on holiday: come back on Monday."]


def test_a_server_that_does_not_answer_is_said_in_the_dialog(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "set server nowhere:1"],
        ["then", "page server"],
        ["then", "click Test"],
        ["unreachable", "click Copy"],
        ["then", "mark stand-in-unreachable"],
        ["then", "click Close"],
    ]
    rehearsed = Rehearsed(stand_in, script, {"procedure": STYLIZE})
    copied: list[str] = []
    ran = rehearsed.play(screenshots, {"stand-in-unreachable": lambda: copied.append(rehearsed.clipboard())})
    assert dialog(ran)["status"] == "cancel"
    assert copied == ["Nobody answers at nowhere:1."]


def test_a_style_from_a_file(stand_in: GimpRoot, screenshots: Path, photo_path: Path) -> None:
    (stand_in.exchange / "tapestry.png").write_bytes(photo_path.read_bytes())
    script = [
        ["gallery", "click Your pictures"],
        ["then", "click Generate"],
        ["rest", "mark page-file-empty"],
        ["then", "file /t/tapestry.png"],
        ["then", "mark page-file"],
        ["then", "click Generate"],
        ["painted", "click Close"],
    ]
    answer = play(stand_in, script, screenshots)
    assert answer["status"] == "success", answer
    assert answer["layers"][0]["name"] == "tapestry"
    (paint,) = requests(stand_in)
    assert paint["style"] == {"file": "/t/tapestry.png"}
    assert paint["note"]["style"] == "tapestry"


def test_a_style_from_a_layer_of_another_image(stand_in: GimpRoot, screenshots: Path, photo_path: Path) -> None:
    (stand_in.exchange / "tapestry.png").write_bytes(photo_path.read_bytes())
    script = [
        ["gallery", "click Layer"],
        ["then", "layer tapestry"],
        ["then", "mark page-layer"],
        ["then", "click Generate"],
        ["painted", "click Close"],
    ]
    answer = play(stand_in, script, screenshots, others=["/t/tapestry.png"])
    assert answer["status"] == "success", answer
    (paint,) = requests(stand_in)
    assert (paint["style"]["width"], paint["style"]["height"]) == (96, 64)
    assert paint["received"]["style"] == 96 * 64 * 4


def test_more(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "page more"],
        ["then", "set initial-image noise"],
        ["then", "set steps 30"],
        ["then", "set learning-rate 0.5"],
        ["then", "set seed 7"],
        ["then", "set weights torchvision"],
        ["then", "set layer-mode light"],
        ["then", "set opacity 60"],
        ["then", "mark more"],
        ["then", "page painting"],
        ["then", "click Full size"],
        ["then", "mark size"],
        ["then", "click Generate"],
        ["painted", "click Close"],
    ]
    answer = play(stand_in, script, screenshots)
    assert answer["status"] == "success", answer
    (paint,) = requests(stand_in)
    wanted = {"initial_image": "noise", "steps": 30, "learning_rate": 0.5, "seed": 7, "weights": "torchvision"}
    assert {name: paint[name] for name in wanted} == wanted
    assert paint["size_px"] == 240
    assert answer["modes"][0] == ["lch-lightness", 60.0]


def test_saved_settings_come_back_after_a_reset(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "click Your pictures"],
        ["then", "file /t/common.py"],
        ["then", "set strength 70"],
        ["then", "set steps 12"],
        ["then", "set recipe draft"],
        ["then", "click Save Settings"],
        ["then", "click Reset"],
        ["then", "mark reset-asks"],
        ["then", "click Reset to Factory Defaults"],
        ["then", "mark reset"],
        ["then", "click Generate"],
        ["painted", "click Close"],
    ]
    answer = play(stand_in, script, screenshots)
    assert answer["status"] == "success", answer
    (paint,) = requests(stand_in)
    assert (paint["strength"], paint["steps"], paint["style"]) == (50, 0, {"gallery": "style-0"})
    script = [
        ["gallery", "click Load Saved Settings"],
        ["then", "mark loaded"],
        ["then", "click Generate"],
        ["painted", "click Close"],
    ]
    answer = play(stand_in, script, screenshots)
    assert answer["status"] == "success", answer
    _, paint = requests(stand_in)
    assert (paint["strength"], paint["steps"], paint["recipe"]) == (70, 12, "draft")
    # 3.2 writes the root's slash down twice.
    assert paint["style"]["file"].lstrip("/") == "t/common.py"


@pytest.mark.parametrize(
    ("language", "title", "close"), [("en", "Neural Style", "Close"), ("de", "Neuronaler Stil", "Schließen")]
)
def test_a_small_screen_has_room_for_all_of_it(
    stand_in: GimpRoot, screenshots: Path, language: str, title: str, close: str
) -> None:
    rehearsed = Rehearsed(
        stand_in,
        [["gallery", f"mark small-screen-{language}"], ["then", f"click {close}"]],
        {"procedure": STYLIZE},
        LANGUAGE=language,
    )
    sizes: list[tuple[int, int]] = []
    measure = {f"small-screen-{language}": lambda: sizes.append(rehearsed.window_size(title))}
    rehearsed.play(screenshots, measure, size="1024x768")
    ((width, height),) = sizes
    assert width <= 1024
    assert height <= 768 - 24


def test_a_fine_but_small_screen_has_room_for_the_buttons(stand_in: GimpRoot, screenshots: Path) -> None:
    """960 × 540 of GTK's pixels: the rest is scrolled to."""
    rehearsed = Rehearsed(
        stand_in, [["gallery", "mark fine-screen"], ["then", "click Close"]], {"procedure": STYLIZE}, GDK_SCALE="2"
    )
    sizes: list[tuple[int, int]] = []
    measure = lambda: sizes.append(rehearsed.window_size("Neural Style"))  # noqa: E731
    rehearsed.play(screenshots, {"fine-screen": measure}, size="1920x1080")
    ((width, height),) = sizes
    assert width <= 1920
    assert height <= 1080 - 24


def test_keys_alone_choose_paint_repeat_undo_and_redo(stand_in: GimpRoot, screenshots: Path) -> None:
    """Found by name in GIMP's own search, painted with Return, again with Ctrl+F, and taken back with Ctrl+Z."""
    rehearsed = Rehearsed(stand_in, [["gallery", "mark by-name"]], {"looks": True})
    looks: dict[str, Any] = {}

    def until(layers: int) -> Any:
        while len((now := rehearsed.look())["layers"]) != layers:
            assert time.monotonic() < rehearsed.deadline
            time.sleep(0.2)
        return now

    def drive() -> None:
        looks["before"] = until(1)
        rehearsed.search_action("Neural Style")
        looks["painted"] = until(2)
        rehearsed.keys("Escape")
        rehearsed.keys("ctrl+f")
        looks["repeated"] = until(3)
        rehearsed.keys("ctrl+z")
        looks["undone once"] = until(2)
        rehearsed.keys("ctrl+z")
        looks["undone"] = until(1)
        rehearsed.screenshot(screenshots / "undone.png")
        rehearsed.keys("ctrl+y")
        looks["redone"] = until(2)
        rehearsed.seen()

    rehearsed.play(screenshots, {"by-name": lambda: rehearsed.keys("Right", "Return")}, meanwhile=drive)
    for look in looks.values():
        look.pop("selected")  # GIMP's own redo chooses what it brings back
    assert looks["undone"] == looks["before"]
    assert looks["undone once"] == looks["painted"] == looks["redone"]
    first, again = requests(stand_in)
    assert first["style"] == again["style"] == {"gallery": "style-1"}


def test_an_indexed_image_has_no_use_for_the_menu_entry(stand_in: GimpRoot, screenshots: Path) -> None:
    rehearsed = Rehearsed(stand_in, [], {"looks": True, "indexed": True})
    started: list[int] = []

    def drive() -> None:
        rehearsed.search_action("Neural Style")
        time.sleep(4)
        rehearsed.screenshot(screenshots / "indexed.png")
        started.extend(stand_in.processes("plug-ins/impasto/impasto.py"))
        rehearsed.keys("Escape")
        rehearsed.seen()

    rehearsed.play(screenshots, meanwhile=drive)
    assert started == []


def test_escape_while_painting_cancels_the_painting_and_then_the_dialog(stand_in: GimpRoot, screenshots: Path) -> None:
    script = [
        ["gallery", "set server slow"],
        ["then", "click Generate"],
        ["step 3", "mark escape-1"],
        ["rest", "mark escape-2"],
    ]
    rehearsed = Rehearsed(stand_in, script, {"procedure": STYLIZE})
    escape = lambda: rehearsed.keys("Escape")  # noqa: E731
    answer = dialog(rehearsed.play(screenshots, {"escape-1": escape, "escape-2": escape}))
    assert answer["status"] == "cancel", answer
    assert len(answer["layers"]) == 1


def test_the_real_thing_in_a_window(
    real: GimpRoot, painter: ServerProcess, screenshots: Path, photo_path: Path
) -> None:
    (real.exchange / "photo.png").write_bytes(photo_path.read_bytes())
    script = [
        ["shown", f"set server {painter.address}"],
        ["then", "page server"],
        ["then", "click Test"],
        ["gallery", "mark real-gallery"],
        ["then", "set recipe draft"],
        ["then", "style sunset-knife"],
        ["then", "click Generate"],
        ["step 10", "set smoothness 70"],
        ["steered", "mark real-steered"],
        ["painted", "mark real-painted"],
        ["then", "click Close"],
    ]
    answer = play(real, script, screenshots, photo="/t/photo.png")
    assert answer["status"] == "success", answer
    assert answer["layers"][0]["name"] == "Coming home"
    assert answer["layers"][0]["size"] == [96, 64]


def test_an_invitation_is_pasted_and_that_is_all(
    real: GimpRoot, painter: ServerProcess, tmp_path: Path, screenshots: Path
) -> None:
    script = [
        ["gallery", "page server"],
        ["then", "mark uninvited"],
        ["tested", "mark invited"],
        ["then", "set recipe draft"],
        ["then", "set size 64"],
        ["then", "click Generate"],
        ["painted", "click Close"],
    ]
    with ServerProcess(tmp_path, "--tls") as house:
        invitation = house.invite("anna")
        rehearsed = Rehearsed(real, script, {"procedure": STYLIZE}, IMPASTO_SERVER=painter.address)

        def paste() -> None:
            rehearsed.keys("alt+a", "Tab", "ctrl+a")
            rehearsed.paste(invitation)

        answer = dialog(rehearsed.play(screenshots, {"uninvited": paste}))
        assert answer["status"] == "success", answer
        assert len(answer["layers"]) == 2
        with Client(invitation) as anna:
            assert [job.state for job in anna.jobs()] == [JobState.SUCCEEDED]


def test_a_picture_is_recovered_from_the_list(real: GimpRoot, painter: ServerProcess, screenshots: Path) -> None:
    script = [["pictures", "mark recover"], ["then", "click Insert"]]
    rehearsed = Rehearsed(real, script, {"procedure": RECOVER}, IMPASTO_SERVER=painter.address)
    answer = dialog(rehearsed.play(screenshots))
    assert answer["status"] == "success", answer
    assert [layer["name"] for layer in answer["layers"]] == ["Coming home", "photo"]


def test_a_job_that_is_still_painted_is_listed_and_waited_for(
    real: GimpRoot, painter: ServerProcess, screenshots: Path, photo_path: Path
) -> None:
    script = [["jobs", "mark recover-running"], ["then", "click Insert"]]
    rehearsed = Rehearsed(real, script, {"procedure": RECOVER}, IMPASTO_SERVER=painter.address)
    with Client(painter.address) as client:
        job = client.submit(photo_path, "night-swirl", steps=5000, size_px=96)

        def end_it() -> None:
            job.cancel()

        answer = dialog(rehearsed.play(screenshots, {"recover-running": end_it}))
    assert answer["status"] == "success", answer
    assert [layer["name"] for layer in answer["layers"]] == ["Night over the wheat", "photo"]


def test_a_broken_configuration_file_is_said_and_the_window_closes(real: GimpRoot, screenshots: Path) -> None:
    path = real.home / ".config/impasto/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("server = nowhere")
    try:
        answer = play(real, [["broken", "mark real-broken"], ["then", "click Close"]], screenshots)
    finally:
        path.unlink()
    assert answer["status"] == "cancel", answer


def test_cancel_in_the_dialog_cancels_on_the_server(real: GimpRoot, painter: ServerProcess, screenshots: Path) -> None:
    script = [
        ["shown", f"set server {painter.address}"],
        ["then", "page server"],
        ["then", "click Test"],
        ["gallery", "set steps 2000"],
        ["then", "click Generate"],
        ["step 3", "click Cancel painting"],
        ["rest", "mark cancelled"],
        ["then", "click Close"],
    ]
    answer = play(real, script, screenshots)
    assert answer["status"] == "cancel", answer
    assert len(answer["layers"]) == 1
    with Client(painter.address) as client:
        job = next(client.jobs())
        deadline = time.monotonic() + 10
        while not job.refresh().state.ended and time.monotonic() < deadline:
            time.sleep(0.1)
        assert job.state is JobState.CANCELLED


def test_a_cut_connection_is_said_and_the_painting_goes_on(
    real: GimpRoot, painter: ServerProcess, screenshots: Path
) -> None:
    with Proxy(painter.address) as proxy:

        def cut() -> None:
            # For as long as it takes to be seen: a single cut is mended before a painter can read about it.
            end = time.monotonic() + 3
            while time.monotonic() < end and not (real.exchange / "marks/real-reconnecting").exists():
                proxy.cut()
                time.sleep(0.02)

        def while_cut() -> None:
            proxy.cut()

        script = [
            ["shown", f"set server {proxy.address}"],
            ["then", "page server"],
            ["then", "click Test"],
            ["gallery", "set recipe painterly"],  # long enough to be cut, however fast the machine
            ["then", "click Generate"],
            ["step 5", "mark cut"],
            ["reconnecting", "mark real-reconnecting"],
            ["painted", "click Close"],
        ]
        rehearsed = Rehearsed(real, script, {"procedure": STYLIZE})
        answer = dialog(rehearsed.play(screenshots, {"cut": cut, "real-reconnecting": while_cut}))
    assert "real-reconnecting" in rehearsed.marked_at
    assert answer["status"] == "success", answer
    assert len(answer["layers"]) == 2


def test_a_server_without_pictures_says_so(real: GimpRoot, tmp_path: Path, screenshots: Path) -> None:
    with ServerProcess(tmp_path) as empty:
        script = [["jobs", "mark recover-empty"], ["then", "click Cancel"]]
        rehearsed = Rehearsed(real, script, {"procedure": RECOVER}, IMPASTO_SERVER=empty.address)
        answer = dialog(rehearsed.play(screenshots))
    assert answer["status"] == "cancel", answer
