"""What becomes of an image's layers, with a stand-in that gives the content back: nothing may shift."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gimp.conftest import STAND_IN
from tests.gimp.root import GimpRoot, Ran, measured


@pytest.fixture(scope="module")
def ran(gimp: GimpRoot) -> Ran:
    gimp.use_helper(*STAND_IN)
    return gimp.batch("layers", {}, timeout_s=240)


@pytest.fixture
def answer(ran: Ran, request: pytest.FixtureRequest) -> Any:
    """The answer of the case that the test is named after."""
    return ran.answers[request.node.originalname.removeprefix("test_")]


def names(answer: Any) -> list[str]:
    return [layer["name"] for layer in answer["layers"]]


def test_every_kind_of_image_comes_back_as_it_was(ran: Ran) -> None:
    kinds = {name: answer for name, answer in ran.answers.items() if name.startswith(("kind-", "wide-gamut-"))}
    assert len(kinds) >= 4 * 18 + 4
    for name, answer in kinds.items():
        assert answer.get("status") == "success", (name, answer)
        assert answer["source_untouched"], name
        assert answer["same_format"], name
        assert answer["profile_kept"], name
        # Gray of 32 bits rounds luminance once more than the others.
        assert answer["difference"][0] <= (1 if "GRAY" in name else 0), (name, answer["difference"])


def test_sixteen_bits_of_tone(answer: Any) -> None:
    assert answer["exact"]


def test_selection(answer: Any) -> None:
    assert answer["alpha_is_selection"] == [0, 0]
    assert answer["colour"] == [200, 100, 50]
    assert answer["selection_kept"]


def test_feathered_selection(answer: Any) -> None:
    assert answer["alpha_is_selection"] == [0, 0]
    assert answer["levels"] > 20
    assert answer["colour"] == [200, 100, 50]


def test_selection_on_an_opaque_layer(answer: Any) -> None:
    assert answer["alpha_is_selection"] == [0, 0]


def test_selection_beside_the_layer(answer: Any) -> None:
    assert answer["error"] == "The selection misses the layer: there is nothing to paint."
    assert names(answer) == ["photo"]


def test_larger_than_the_image(answer: Any) -> None:
    assert answer["layers"][0]["offsets"] == [-20, -15]
    assert answer["layers"][0]["size"] == [90, 70]
    assert answer["difference"] == [0, 0]


def test_larger_than_the_image_with_a_selection(answer: Any) -> None:
    assert answer["layers"][0]["size"] == [90, 70]
    assert answer["painted"] == 30 * 20
    assert answer["corner"] == [255, 0, 0]


def test_filters_on_the_layer(answer: Any) -> None:
    """What is painted is what the canvas shows; the layer keeps its filters."""
    assert answer["status"] == "success", answer
    assert answer["colour"] == [55, 155, 205]
    assert (answer["source"], answer["filters"], answer["images_left"]) == ([200, 100, 50], 1, 0)


def test_hidden_filters_on_the_layer(answer: Any) -> None:
    assert answer["colour"] == [200, 100, 50]


def test_the_layer_stays_chosen(answer: Any) -> None:
    """Or Ctrl+F would paint the painting."""
    assert answer["selected"] == ["photo"]


def test_outside_the_image(answer: Any) -> None:
    assert answer["status"] == "success"
    assert answer["layers"][0]["offsets"] == [100, 100]


def test_one_pixel(answer: Any) -> None:
    assert answer["error"] == "1 × 1 pixels are too few to paint: 4 on each side are needed."
    assert names(answer) == ["photo"]


def test_thin(answer: Any) -> None:
    assert answer["layers"][0]["size"] == [40, 4]


def test_in_a_group(answer: Any) -> None:
    (group,) = answer["layers"]
    assert [layer["name"] for layer in group["children"]] == ["above", "night-swirl", "photo", "below"]
    assert group["children"][1]["offsets"] == [7, 5]
    assert group["children"][1]["size"] == [20, 10]


def test_a_whole_group(answer: Any) -> None:
    assert names(answer) == ["night-swirl", "group"]
    assert answer["layers"][0]["offsets"] == [7, 5]


def test_with_a_layer_mask(answer: Any) -> None:
    assert answer["mask"] == [0, 0]
    assert answer["pixels"] == [0, 0]
    assert answer["with_the_mask_chosen"] == "success"


def test_a_channel(answer: Any) -> None:
    assert answer["error"] == "Select a layer: Impasto doesn't paint channels."


def test_two_layers(answer: Any) -> None:
    assert answer["status"] == "success", answer
    assert names(answer) == ["night-swirl #1", "photo #1", "night-swirl", "photo"]


def test_indexed(answer: Any) -> None:
    assert answer["error"] == "Indexed images have too few colours for a painting: Image → Mode → RGB first."
    assert answer["source_untouched"]
    assert names(answer) == ["photo"]
    assert "INDEXED" not in answer["types"]


def test_used_as(answer: Any) -> None:
    modes = {mode: nick for mode, (nick, _) in answer.items()}
    assert modes == {
        "painting": "normal", "light": "lch-lightness", "colours": "lch-color", "soft-light": "softlight",
        "overlay": "overlay",
    }  # fmt: skip
    assert {opacity for _, opacity in answer.values()} == {40}


def test_style_of_another_image(answer: Any) -> None:
    assert names(answer) == ["tapestry", "photo"]


def test_style_of_a_file(answer: Any) -> None:
    assert names(answer) == ["common", "photo"]


def test_last_values(answer: Any) -> None:
    assert answer["status"] == "success", answer


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("refuse", "The server is on holiday: come back on Monday."),
        ("die", "Impasto's helper stopped unexpectedly. somebody pulled the plug"),
        ("babble", "Impasto's helper stopped unexpectedly."),
    ],
)
def test_a_failure_is_a_sentence_and_leaves_the_image_alone(ran: Ran, name: str, sentence: str) -> None:
    answer = ran.answers[name]
    assert answer["status"] == "execution-error"
    assert answer["error"] == sentence
    assert answer["source_untouched"]
    assert names(answer) == ["photo"]


def test_large(answer: Any) -> None:
    """12 megapixels out of GIMP, through the pipe and back: 2 s each way is the goal."""
    assert answer["status"] == "success"
    measured("4000 × 3000 through the stand-in, out and back", answer["seconds"], 4)
