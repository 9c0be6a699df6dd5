"""A little of `make bench`: every measurement runs and says something; what it says is not judged here."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from bench.__main__ import BENCHES, main
from bench.pictures import painting
from bench.textbook import Textbook
from impasto_server import nst


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """At these sizes threads wait for each other longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", list(BENCHES))
@pytest.mark.timeout(300)  # several servers and processes each, on machines that others use
def test_it_leaves_rows_and_a_plot(name: str, tmp_path: Path) -> None:
    assert main(["--smoke", "--device", "cpu", "--output", str(tmp_path), name]) == 0
    content = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    assert content["machine"]["torch"] == torch.__version__
    assert content["rows"]
    for row in content["rows"]:
        assert row["value"] is not None and math.isfinite(row["value"]), row
        assert row["unit"] != "×" or row["value"] > 0, row
    with Image.open(tmp_path / f"{name}.png") as plot:
        assert plot.format == "PNG"
        assert plot.width >= 900


def test_every_measurement_runs_in_a_process_set_up_as_a_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices: list[torch.device] = []
    monkeypatch.setattr(nst, "set_up", devices.append)
    main(["--smoke", "--device", "cpu", "--output", str(tmp_path), "trace"])
    assert devices == [torch.device("cpu")]


def test_the_book_is_painted_with_torchs_own_settings_and_judged_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: list[bool] = []
    original = Textbook._loss

    def watched(book: Textbook, picture: Tensor) -> Tensor:
        allowed.append(torch.backends.cudnn.allow_tf32)
        return original(book, picture)

    monkeypatch.setattr(Textbook, "_loss", watched)
    picture = painting("night-swirl")
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # as `nst.set_up` has it on CUDA
        book = Textbook(nst.load_vgg("original", torch.device("cpu")), picture, picture, 32, 48)
        book.step()
        book.value(book.picture)
        assert torch.backends.cudnn.allow_tf32 is False
    assert allowed == [True, False]


def test_a_measurement_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["convergense"])
    assert "there is no measurement convergense; expected" in capsys.readouterr().err
