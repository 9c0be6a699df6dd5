"""GIMP, helper, gRPC server, worker and back: once for each kind of image, and the mistakes that only it can make."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gimp.conftest import REAL_HELPER
from tests.gimp.root import GimpRoot, Ran
from tests.server_process import ServerProcess

KINDS = [
    "rgb_8", "rgba_8", "rgb_8_linear", "gray_8", "gray_alpha_16", "rgba_16", "rgb_32", "rgba_half", "rgb_float",
    "wide_gamut_8", "wide_gamut_float",
]  # fmt: skip
DEEP = ["gray_alpha_16", "rgba_16", "rgb_32", "rgba_half", "rgb_float", "wide_gamut_float"]


@pytest.fixture(scope="module")
def ran(gimp: GimpRoot, painter: ServerProcess) -> Ran:
    gimp.use_helper(*REAL_HELPER)
    return gimp.batch("real_chain", {"server": painter.address}, timeout_s=115)


@pytest.mark.parametrize("kind", KINDS)
def test_this_kind_is_painted_without_a_shift(ran: Ran, kind: str) -> None:
    answer: Any = ran.answers[kind]
    assert answer.get("status") == "success", answer
    assert [layer["name"] for layer in answer["layers"]] == ["Night over the wheat", "photo"]
    assert answer["source_untouched"]
    assert answer["same_format"]
    assert answer["alpha"][0] == 0
    # One step moves a pixel by 0.056 (14 of 255), and the whole by less.
    before, after = answer["means"]
    assert all(abs(a - b) < 12 for a, b in zip(before, after, strict=True)), answer["means"]


@pytest.mark.parametrize("kind", DEEP)
def test_this_kind_has_more_tones_than_8_bits_hold(ran: Ran, kind: str) -> None:
    assert ran.answers[kind]["tones"] > 256


def test_a_finished_job_is_recovered_above_the_layer(ran: Ran) -> None:
    answer = ran.answers["recover"]
    assert answer["status"] == "success", answer
    assert answer["layers"][0] == {
        "name": "night-swirl", "offsets": [5, 6], "size": [48, 32], "type": 1, "children": []
    }  # fmt: skip


def test_a_finished_job_is_recovered_into_an_empty_image(ran: Ran) -> None:
    answer = ran.answers["recover_into_an_empty_image"]
    assert answer["status"] == "success", answer
    assert len(answer["layers"]) == 1


def test_a_misspelt_style_gets_a_suggestion(ran: Ran) -> None:
    answer = ran.answers["no_such_style"]
    assert answer["status"] == "execution-error"
    assert "night-swirl" in answer["error"]


def test_a_server_that_is_not_there_gets_a_sentence(ran: Ran) -> None:
    answer = ran.answers["nobody_there"]
    assert answer["status"] == "execution-error"
    assert "127.0.0.1:9" in answer["error"]
    assert len(answer["layers"]) == 1


def test_gimp_does_not_complain(ran: Ran) -> None:
    assert ran.complaints == []
