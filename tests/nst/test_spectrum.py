"""The filter in favour of low frequencies."""

import math

import pytest
import torch

from impasto_server.nst import bands, spectrum


def filter_(picture: torch.Tensor, power: float) -> torch.Tensor:
    return spectrum.filter_(picture, spectrum.gains(*picture.shape[-2:], power, picture))


def wave(cycles: int, height: int = 32, width: int = 48) -> torch.Tensor:
    """So many cycles from left to right."""
    phase = 2 * math.pi * cycles * torch.arange(width, dtype=torch.float64) / width
    return phase.cos().expand(1, 3, height, width).clone()


@pytest.mark.parametrize(("cycles", "gain"), [(24, 1.0), (12, 2**0.6), (3, 8**0.6)])
def test_a_wave_is_multiplied_by_its_length(cycles: int, gain: float) -> None:
    torch.testing.assert_close(filter_(wave(cycles), 0.6), gain * wave(cycles))


def test_what_has_no_frequency_counts_as_one_wave_a_picture() -> None:
    plain = torch.full((1, 3, 32, 48), 0.5)
    torch.testing.assert_close(filter_(plain.clone(), 0.5), plain * 24**0.5)


def test_the_filter_is_its_own_adjoint() -> None:
    """So that the gradient with respect to z, where the picture is F z, is F times the picture's."""
    one, other = torch.randn(2, 1, 3, 33, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    left = (filter_(one.clone(), 0.7) * other).sum()
    assert left.item() == pytest.approx((one * filter_(other.clone(), 0.7)).sum().item())


def test_no_power_changes_nothing() -> None:
    picture = torch.randn(1, 3, 17, 30, dtype=torch.float64)
    torch.testing.assert_close(filter_(picture.clone(), 0.0), picture)


@pytest.mark.parametrize("sides", [(1, 7), (33, 50), (48, 31)])
def test_filtering_part_by_part_is_filtering_at_once(sides: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU does the one and a GPU the other."""
    for module in (bands, spectrum):
        monkeypatch.setattr(module, "band_bytes", lambda device: 500)
    picture = torch.randn(1, 3, *sides, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    gain = spectrum.gains(*sides, 0.3, picture)
    at_once = spectrum.filtered_at_once(picture, gain)
    torch.testing.assert_close(spectrum.filter_(picture, gain), at_once)
