"""The losses, by hand-made numbers and by their own laws."""

import pytest
import torch
from torch import Tensor

from impasto_server.nst import losses


def features(seed: int, channels: int = 6, height: int = 9, width: int = 11) -> Tensor:
    return torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_total_variation_counts_both_directions_by_half() -> None:
    picture = torch.tensor([[0.0, 1.0], [3.0, 3.0]]).expand(1, 3, 2, 2)
    # Vertical |3 − 0| and |3 − 1|, horizontal |1 − 0| and |3 − 3|.
    assert losses.total_variation(picture).item() == pytest.approx(0.5 * (2.5 + 0.5))


def test_a_gram_matrix_is_scaled_by_channels_and_positions() -> None:
    maps = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])[None]
    assert losses.moments(maps).gram().tolist() == [[5 / 4, 11 / 4], [11 / 4, 25 / 4]]


def test_moments_of_tiles_add_up_to_those_of_the_whole() -> None:
    maps = features(1)
    tiles = losses.moments(maps[..., :4]) + losses.moments(maps[..., 4:])
    whole = losses.moments(maps)
    assert tiles.positions == whole.positions
    torch.testing.assert_close(tiles.covariance(), whole.covariance())
    torch.testing.assert_close(whole.covariance(), torch.cov(maps[0].flatten(1), correction=0))


def test_blending_styles_ignores_their_sizes() -> None:
    small, large = losses.moments(features(1)), losses.moments(features(2, height=40))
    blend = losses.blended([small, large], [0.25, 0.75])
    torch.testing.assert_close(blend.mean(), 0.25 * small.mean() + 0.75 * large.mean())
    torch.testing.assert_close(blend.gram(), 0.25 * small.gram() + 0.75 * large.gram())


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
def test_relative_losses_do_not_care_for_the_scale_of_the_features(scale: float) -> None:
    ours, target = features(3), features(4)
    content = losses.relative_content(ours, target)
    style = losses.relative_style(losses.moments(ours), losses.normal(losses.moments(target)))
    scaled = losses.normal(losses.moments(scale * target))
    assert losses.relative_content(scale * ours, scale * target).item() == pytest.approx(content.item(), rel=1e-3)
    assert losses.relative_style(losses.moments(scale * ours), scaled).item() == pytest.approx(style.item(), rel=1e-3)


def test_relative_losses_vanish_at_their_target() -> None:
    target = features(4)
    assert losses.relative_content(target, target).item() == 0
    style = losses.relative_style(losses.moments(target), losses.normal(losses.moments(target)))
    assert style.item() == pytest.approx(0, abs=1e-4)


def test_relative_style_is_the_wasserstein_distance_of_normal_distributions() -> None:
    """For covariances that commute it is the distance of means plus that of standard deviations."""
    ours, target = torch.tensor([4.0, 1.0, 0.25]), torch.tensor([1.0, 2.25, 0.25])
    shift = torch.tensor([0.0, 1.0, 2.0])
    style = losses.Moments(1, shift, torch.diag(ours) + torch.outer(shift, shift))
    goal = losses.normal(losses.Moments(1, torch.zeros(3), torch.diag(target)))
    expected = (5 + (ours.sqrt() - target.sqrt()).square().sum()) / target.sum()
    assert losses.relative_style(style, goal).item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_gradient_of_relative_style_is_that_of_its_value() -> None:
    target = losses.normal(losses.moments(features(5)))
    picture = features(6).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda maps: losses.relative_style(losses.moments(maps), target), (picture,), atol=1e-4, rtol=1e-2
    )


def test_a_plain_style_gives_finite_losses() -> None:
    plain, ours = torch.zeros(1, 6, 4, 4), features(7).float().requires_grad_()
    style = losses.relative_style(losses.moments(ours), losses.normal(losses.moments(plain + 1)))
    content = losses.relative_content(ours, ours.detach())
    (gradient,) = torch.autograd.grad(style + content, ours)
    assert torch.isfinite(style)
    assert torch.isfinite(gradient).all()
