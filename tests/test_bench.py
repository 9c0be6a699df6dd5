"""A little of `make bench`: every measurement runs and says something; what it says is not judged here."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from bench.__main__ import BENCHES, main


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


def test_a_measurement_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["convergense"])
    assert "there is no measurement convergense; expected" in capsys.readouterr().err
