"""Products by other kernels than torch's usual ones: the same numbers."""

import pytest
import torch

from impasto_server.nst import products
from impasto_server.nst.products import sum_of_chunks, sums, times


def seeded(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_the_sums_of_bfloat16_features_are_those_of_float32() -> None:
    rows = seeded(3000, 48).to(torch.bfloat16)
    exact = rows.double().T @ rows.double()
    first, second = sums(rows, torch.float32)
    assert (first.dtype, second.dtype) == (torch.float32, torch.float32)
    assert (first.double() - rows.double().sum(0)).norm() < 1e-5 * rows.double().sum(0).norm()
    assert (second.double() - exact).norm() < 1e-5 * exact.norm()


def test_float32_features_are_not_multiplied_in_bfloat16_afterwards() -> None:
    """The switch is the process's: it has to be back where it was, also when a product fails."""
    rows = seeded(3000, 48)
    exact = rows.double().T @ rows.double()
    with pytest.raises(RuntimeError), products._multiplying_in_bfloat16():
        rows @ rows
    _, second = sums(rows, torch.float32)
    assert (second.double() - exact).norm() < 1e-5 * exact.norm()


@pytest.mark.parametrize("count", [5, 64, 100, 128, 1000])
def test_a_sum_of_chunks_leaves_no_row_out(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a GPU does it."""
    monkeypatch.setattr(products, "_CHUNK", 32)
    rows = seeded(count, 14).double()
    torch.testing.assert_close(sum_of_chunks(rows, torch.float64), rows.T @ rows)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_times_is_the_matrix_product(dtype: torch.dtype) -> None:
    left, half = seeded(2, 31, 17).to(dtype), seeded(2, 17, 17).to(dtype)
    torch.testing.assert_close(times(left, half + half.mT), left @ (half + half.mT))
