"""Total variation by our own kernel is the plain one: cases for `test_own_kernels.py`."""

import pytest
import torch

from impasto_server.nst import losses
from impasto_server.nst.shortcuts import Shortcuts

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("sides", [(23, 37), (1, 9), (9, 1), (1, 1), (40, 64)])
def test_value_and_gradient_are_those_of_the_plain_one(sides: tuple[int, int]) -> None:
    picture = torch.randn(1, 3, *sides, generator=torch.Generator().manual_seed(1))
    picture[..., : sides[1] // 2] = 0.5  # neighbours that don't differ
    picture = picture.to(DEVICE)
    found, expected = torch.ones_like(picture), torch.ones_like(picture)
    weight = torch.tensor(2.5, device=DEVICE)
    value = losses.total_variation(picture, weight, found, Shortcuts(own_kernels=True))
    torch.testing.assert_close(value, losses.total_variation(picture, weight, expected))
    torch.testing.assert_close(found, expected)
