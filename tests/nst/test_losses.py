"""The losses, by hand-made numbers and by their own laws."""

import math

import pytest
import torch
from torch import Tensor

from impasto_server.nst import bands, losses
from impasto_server.nst.roots import roots_of


def features(seed: int, channels: int = 6, height: int = 9, width: int = 11) -> Tensor:
    return torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moments(maps: Tensor) -> losses.Moments:
    return losses.moments(maps, maps.dtype)


def of_one_layer(
    kind: type[losses.TextbookStyle] | type[losses.RelativeStyle], target: losses.Moments, style: losses.Moments
) -> tuple[Tensor, losses.Slope]:
    value, slopes = kind.like({"relu1_1": target})({"relu1_1": style}, torch.ones_like(style.first[0]))
    return value, slopes["relu1_1"]


def relative_style(style: losses.Moments, target: losses.Moments) -> Tensor:
    value, _ = of_one_layer(losses.RelativeStyle, target, style)
    return value


def relative_content(maps: Tensor, target: Tensor) -> Tensor:
    content = losses.Content.relative(target, target.dtype)
    return content.scale * (maps - target).square().sum()


def test_total_variation_counts_both_directions_by_half() -> None:
    picture = torch.tensor([[0.0, 1.0], [3.0, 3.0]]).expand(1, 3, 2, 2)
    # Vertical |3 − 0| and |3 − 1|, horizontal |1 − 0| and |3 − 3|.
    value = losses.total_variation(picture, torch.tensor(1.0), torch.zeros(1, 3, 2, 2))
    assert value.item() == pytest.approx(0.5 * (2.5 + 0.5))


def test_the_gradient_of_total_variation_is_that_of_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "band_bytes", lambda device: 500)  # several bands
    picture = features(8, channels=3, height=23, width=11)
    weight, gradient = torch.tensor(2.5, dtype=torch.float64), torch.ones_like(picture)
    losses.total_variation(picture, weight, gradient)
    leaf = picture.clone().requires_grad_()
    vertical = (leaf[..., 1:, :] - leaf[..., :-1, :]).abs().mean()
    horizontal = (leaf[..., :, 1:] - leaf[..., :, :-1]).abs().mean()
    (2.5 * 0.5 * (vertical + horizontal)).backward()
    torch.testing.assert_close(gradient, 1 + leaf.grad)


def test_a_single_row_or_column_has_no_neighbours_that_way() -> None:
    for shape in ((1, 3, 1, 5), (1, 3, 5, 1), (1, 3, 1, 1)):
        value = losses.total_variation(torch.ones(shape), torch.tensor(1.0), torch.zeros(shape))
        assert value.item() == 0


def test_a_gram_matrix_is_scaled_by_channels_and_positions() -> None:
    maps = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])[None]
    assert moments(maps).gram().tolist() == [[5 / 4, 11 / 4], [11 / 4, 25 / 4]]


def test_moments_of_tiles_add_up_to_those_of_the_whole() -> None:
    maps = features(1)
    tiles = moments(maps[..., :4]) + moments(maps[..., 4:])
    whole = moments(maps)
    assert tiles.positions == whole.positions
    torch.testing.assert_close(tiles.covariance(), whole.covariance())
    torch.testing.assert_close(whole.covariance(), torch.cov(maps[0].flatten(1), correction=0))


def test_blending_styles_ignores_their_sizes() -> None:
    small, large = moments(features(1)), moments(features(2, height=40))
    blend = losses.blended([small, large], [0.25, 0.75])
    torch.testing.assert_close(blend.mean(), 0.25 * small.mean() + 0.75 * large.mean())
    torch.testing.assert_close(blend.gram(), 0.25 * small.gram() + 0.75 * large.gram())


def test_moments_of_bands_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = features(9, height=31)
    whole = moments(maps)
    monkeypatch.setattr(bands, "band_bytes", lambda device: 4 * 6 * 11 * 4)
    assert len(list(bands.bands(maps))) == 8
    banded = moments(maps)
    torch.testing.assert_close(banded.second, whole.second)
    torch.testing.assert_close(banded.first, whole.first)


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
def test_relative_losses_do_not_care_for_the_scale_of_the_features(scale: float) -> None:
    ours, target = features(3), features(4)
    content = relative_content(ours, target)
    style = relative_style(moments(ours), moments(target))
    assert relative_content(scale * ours, scale * target).item() == pytest.approx(content.item(), rel=1e-3)
    assert relative_style(moments(scale * ours), moments(scale * target)).item() == pytest.approx(
        style.item(), rel=1e-3
    )


def test_relative_losses_vanish_at_their_target() -> None:
    target = features(4)
    assert relative_content(target, target).item() == 0
    assert relative_style(moments(target), moments(target)).item() == pytest.approx(0, abs=2e-3)


def test_relative_style_is_the_wasserstein_distance_of_normal_distributions() -> None:
    """For covariances that commute it is the distance of means plus that of standard deviations."""
    ours, target = torch.tensor([4.0, 1.0, 0.25]), torch.tensor([1.0, 2.25, 0.25])
    shift = torch.tensor([0.0, 1.0, 2.0])
    style = losses.Moments(1, shift, torch.diag(ours) + torch.outer(shift, shift))
    goal = losses.Moments(1, torch.zeros(3), torch.diag(target))
    expected = (5 + (ours.sqrt() - target.sqrt()).square().sum()) / target.sum()
    assert relative_style(style, goal).item() == pytest.approx(expected.item(), rel=1e-3)


@pytest.mark.parametrize("kind", [losses.TextbookStyle, losses.RelativeStyle])
def test_a_style_s_slope_is_the_gradient_of_its_value(
    kind: type[losses.TextbookStyle] | type[losses.RelativeStyle],
) -> None:
    target, maps = moments(features(5)), features(6)
    _, slope = of_one_layer(kind, target, moments(maps))
    ours = losses.as_maps(slope.at(losses.as_rows(maps)), maps)
    way = features(7)
    up, down = (of_one_layer(kind, target, moments(maps + step * way))[0] for step in (1e-5, -1e-5))
    # Newton-Schulz is stopped early: the value lacks a little of what the slope says.
    precision = 1e-6 if kind is losses.TextbookStyle else 1e-2
    assert ((up - down) / 2e-5).item() == pytest.approx((ours * way).sum().item(), rel=precision)


def test_root_of_a_matrix_squares_to_it() -> None:
    maps = features(10)[0].flatten(1)
    matrix = maps @ maps.T / maps.shape[1]
    (root,), (inverse,) = roots_of(matrix[None])
    torch.testing.assert_close(root @ root, matrix, rtol=5e-3, atol=5e-3)
    torch.testing.assert_close(root @ inverse, torch.eye(6, dtype=torch.float64), rtol=5e-3, atol=5e-3)


def test_the_relative_loss_is_nothing_for_the_style_itself_and_positive_beside_it() -> None:
    """In float32, where what keeps the root from rounding would take it below."""
    falling = torch.logspace(0, -3, 128).view(1, -1, 1, 1)
    target = falling * features(12, channels=128, height=24, width=32).float()
    goal = losses.moments(target, torch.float32)
    assert relative_style(goal, goal).abs() < 1e-6
    other = losses.moments(target + 0.1 * falling * features(13, 128, 24, 32).float(), torch.float32)
    beside = relative_style(other, goal)
    assert 0 < beside < 0.01


def test_a_style_of_few_positions_has_few_directions() -> None:
    """A style's covariance has no more of them than the style has positions, and each one costs time."""
    (batch,) = losses.RelativeStyle.like({"relu1_1": moments(features(11, channels=40, height=3, width=4))}).batches
    assert batch.root.shape[1] == 40
    assert batch.root.shape[2] < 12


def test_a_plain_style_gives_finite_losses() -> None:
    plain, ours = torch.zeros(1, 6, 4, 4), features(7).float()
    value, slope = of_one_layer(losses.RelativeStyle, moments(plain + 1), moments(ours))
    assert torch.isfinite(value)
    assert torch.isfinite(slope.at(losses.as_rows(ours))).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_relative_loss_of_plain_maps_is_finite(seed: int) -> None:
    """A covariance is a difference: of maps that hardly vary it holds nothing but rounding, and may be negative."""
    plain = features(seed, channels=32, height=1, width=1).float().abs() * 20
    maps = (plain + 1e-4 * features(seed + 1, channels=32, height=20, width=30).float()).contiguous()
    target = losses.moments(maps, torch.float32)
    value, slope = of_one_layer(losses.RelativeStyle, target, losses.moments(maps + 1e-4, torch.float32))
    assert value.isfinite()
    assert slope.first is not None
    assert slope.first.isfinite().all()
    assert slope.second.isfinite().all()


def test_layers_side_by_side_have_the_losses_and_slopes_that_each_has_alone() -> None:
    """As a GPU takes them: narrow ones with zeros around them."""
    sides = {"relu1_1": 6, "relu2_1": 14, "relu3_1": 9}
    targets, styles = (
        {layer: moments(features(seed, channels, 20, 30)) for layer, channels in sides.items()} for seed in (14, 15)
    )
    weight = torch.tensor(3.0, dtype=torch.float64)
    values, slopes = losses.RelativeBatch.like(targets)(list(styles.values()), weight)
    for layer, value, slope in zip(sides, values, slopes, strict=True):
        expected, alone = losses.RelativeStyle.like({layer: targets[layer]})({layer: styles[layer]}, weight)
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=0)
        for found, wanted in zip(slope.affine(torch.float64), alone[layer].affine(torch.float64), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("falls_to", [1e-1, 1e-3, 1e-6])
def test_roots_are_exact_but_for_the_smallest_eigenvalues(falls_to: float) -> None:
    """In float32 too, and where the eigenvalues of a singular matrix are all that is left of a difference."""
    turn, _ = torch.linalg.qr(features(16, 1, 60, 60)[0, 0])
    eigenvalues = torch.logspace(0, math.log10(falls_to), 60, dtype=torch.float64)
    eigenvalues[-1] = 0
    matrix = turn @ torch.diag(eigenvalues) @ turn.T
    reached = eigenvalues > eigenvalues.norm() / 16**2
    for dtype, precision in ((torch.float64, 1e-6), (torch.float32, 1e-4)):
        (root,), (inverse,) = roots_of(matrix[None].to(dtype))
        seen = [torch.diag(turn.T @ found.double() @ turn) for found in (root, inverse)]
        torch.testing.assert_close(seen[0][reached], eigenvalues.sqrt()[reached], rtol=precision, atol=precision)
        torch.testing.assert_close(seen[1][reached], eigenvalues.rsqrt()[reached], rtol=precision, atol=precision)
        assert (seen[0] <= eigenvalues.sqrt() + 1e-4).all()
