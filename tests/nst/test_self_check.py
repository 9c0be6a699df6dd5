"""The check at a worker's start: shortcuts that go wrong are not taken, and it is said."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto_server import nst
from impasto_server.nst import self_check
from impasto_server.nst.shortcuts import NO_SHORTCUTS, Shortcuts

REDUCED = Shortcuts(reduced=torch.bfloat16, fused=True)

Wrong = Callable[[Tensor], Tensor]


@pytest.fixture
def reduced(vgg: nst.Vgg) -> nst.Vgg:
    return replace(vgg, shortcuts=REDUCED)


def test_this_processor_is_trusted_with_all_it_is_made_for(vgg: nst.Vgg) -> None:
    assert nst.check_shortcuts(vgg) == (vgg.shortcuts, ())
    assert vgg.shortcuts.fused


def test_reduced_precision_is_trusted_also_where_it_is_slow(reduced: nst.Vgg) -> None:
    assert nst.check_shortcuts(reduced) == (REDUCED, ())


def test_without_shortcuts_there_is_nothing_to_check(vgg: nst.Vgg) -> None:
    assert nst.check_shortcuts(replace(vgg, shortcuts=NO_SHORTCUTS)) == (NO_SHORTCUTS, ())


def _raises(_: Tensor) -> Tensor:
    raise RuntimeError("GET was unable to find an engine to execute this computation\nmore of it")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (lambda picture: picture.flip(-1), r"a picture came out \d+ % off"),
        (lambda picture: picture * torch.nan, "DivergedError: The picture was lost at step 0"),
        (_raises, "RuntimeError: GET was unable to find an engine to execute this computation\\."),
    ],
    ids=["another picture", "NaN", "an error"],
)
def test_a_shortcut_that_goes_wrong_is_switched_off_alone(
    wrong: Wrong, complaint: str, reduced: nst.Vgg, monkeypatch: pytest.MonkeyPatch
) -> None:
    stylize = self_check.stylize

    def painting(content: Tensor, *arguments: Any, vgg: nst.Vgg) -> Any:
        return stylize(wrong(content) if vgg.shortcuts.fused else content, *arguments, vgg=vgg)

    monkeypatch.setattr(self_check, "stylize", painting)
    trusted, (notice,) = nst.check_shortcuts(reduced)
    assert trusted == Shortcuts(reduced=torch.bfloat16)
    assert notice.startswith("cpu goes without fused convolutions: ")
    assert re.search(complaint, notice)


def test_a_lack_of_memory_is_not_held_against_a_shortcut(reduced: nst.Vgg, monkeypatch: pytest.MonkeyPatch) -> None:
    stylize = self_check.stylize

    def painting(*arguments: Any, vgg: nst.Vgg) -> Any:
        if vgg.shortcuts.fused:
            raise torch.OutOfMemoryError("no room")
        return stylize(*arguments, vgg=vgg)

    monkeypatch.setattr(self_check, "stylize", painting)
    with pytest.raises(torch.OutOfMemoryError):
        nst.check_shortcuts(reduced)


def test_a_shortcut_that_costs_the_process_its_device_is_not_just_left_out(
    reduced: nst.Vgg, monkeypatch: pytest.MonkeyPatch
) -> None:
    stylize, tried = self_check.stylize, []

    def painting(*arguments: Any, vgg: nst.Vgg) -> Any:
        if vgg.shortcuts.fused:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return stylize(*arguments, vgg=vgg)

    monkeypatch.setattr(self_check, "stylize", painting)
    monkeypatch.setattr(self_check, "is_alive", lambda _: False)
    with pytest.raises(nst.DeviceLostError, match="illegal memory access"):
        nst.check_shortcuts(reduced, trying=tried.append)
    assert tried == ["all"]
    trusted, notices = nst.check_shortcuts(reduced, deadly=["all", "fused"])
    assert trusted == Shortcuts(reduced=torch.bfloat16)
    assert notices == ("cpu goes without fused convolutions: a worker died of it.",)
