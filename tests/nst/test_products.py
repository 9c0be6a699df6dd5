"""Products by other kernels than torch's usual ones: the same numbers."""

import pytest
import torch

from impasto_server.nst.products import add_gram_, times


def seeded(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_the_gram_matrix_of_bfloat16_features_is_that_of_float32() -> None:
    rows = seeded(3000, 48).to(torch.bfloat16).float()
    exact = rows.double().T @ rows.double()
    total = torch.full((48, 48), 2.0)
    add_gram_(total, rows, torch.bfloat16)
    assert (total.double() - 2 - exact).norm() < 1e-5 * exact.norm()


def test_float32_features_are_not_multiplied_in_bfloat16_afterwards() -> None:
    """The switch is the process's: it has to be back where it was, also when a product fails."""
    rows = seeded(3000, 48)
    exact = rows.double().T @ rows.double()
    with pytest.raises(RuntimeError):
        add_gram_(torch.zeros(3, 3), rows, torch.bfloat16)
    total = torch.zeros(48, 48)
    add_gram_(total, rows, torch.float32)
    assert (total.double() - exact).norm() < 1e-5 * exact.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_times_is_the_matrix_product(dtype: torch.dtype) -> None:
    left, half = seeded(31, 17).to(dtype), seeded(17, 17).to(dtype)
    torch.testing.assert_close(times(left, half + half.T), left @ (half + half.T))
