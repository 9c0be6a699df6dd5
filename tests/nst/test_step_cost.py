"""What a step costs a GPU, counted without one: a change that adds kernels or bytes has to say so here."""

from importlib.util import find_spec

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from bench.trace import ALL_SHORTCUTS, PROPORTIONS, Counting, count
from impasto_server.nst import losses
from impasto_server.recipes import RECIPES

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="counts our own kernels, which need Triton")


@pytest.mark.parametrize(
    ("name", "size_px", "most_kernels", "most_gigabytes"),
    [
        ("painterly", 512, 290, 1.25),
        ("painterly", 2048, 295, 17.0),
        ("classic", 512, 150, 2.45),
        ("fast-classic", 512, 220, 1.8),
    ],
)
def test_a_step_costs_no_more_than_it_did(name: str, size_px: int, most_kernels: int, most_gigabytes: float) -> None:
    """Nothing in it waits for the host either: `.item()`, `float(t)` and `bool(t)` raise on such tensors."""
    cost = count(RECIPES[name], round(PROPORTIONS * size_px), size_px, ALL_SHORTCUTS)
    assert 0.8 * most_kernels < cost.kernels <= most_kernels, cost.by_module
    assert 0.8 * most_gigabytes < cost.bytes_moved / 1e9 <= most_gigabytes, cost.by_module


def test_a_step_that_waits_for_the_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def waiting(picture: Tensor, *others: object) -> Tensor:
        return picture.new_tensor(float(picture.sum()))

    monkeypatch.setattr(losses, "total_variation", waiting)
    with pytest.raises(DataDependentOutputException):
        count(RECIPES["classic"], 32, 48, ALL_SHORTCUTS)


def test_an_operator_reads_its_inputs_and_writes_its_outputs_once_and_a_view_does_neither() -> None:
    with FakeTensorMode(), torch.device("cuda"), torch.no_grad():
        large, small = torch.zeros(100, 10), torch.zeros(10)
        with Counting() as counting:
            large[10:].T.unsqueeze(0)
            assert counting.cost().kernels == 0
            large.add_(small)
            torch.addmm(small, large, large.T @ large)
    cost = counting.cost()
    assert cost.kernels == 3
    assert cost.by_operator["add_"] == (1, 4 * (1000 + 1000 + 10))
    assert cost.by_operator["mm"] == (1, 4 * (1000 + 100))
    assert cost.by_operator["addmm"] == (1, 4 * (10 + 1000 + 100 + 1000))
