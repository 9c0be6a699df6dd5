"""What a run descends on at one scale: the losses of a picture against its content and its styles."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto_server.recipes import MINIMUM_SIDE_PX, Recipe, Scale

from . import losses, pictures
from .bands import bands
from .losses import Content, Moments, RelativeStyle, Slope, StyleLoss, TextbookStyle
from .tiled import TiledNetwork, add_moments
from .tiles import Tile

Style = tuple[Tensor, float]
"""A picture, (3, H, W) RGB, floats in [0, 1] or uint8, and its weight among the styles."""


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """The losses by layer, each holding its target, and the network that takes a picture to those layers.

    The shares are what one layer's loss counts: 1 in the textbook, which sums over layers. Relative losses are
    averaged: one layer more must not change the balance.
    """

    network: TiledNetwork
    content: Mapping[str, Content]
    style: StyleLoss
    content_share: float = 1.0
    style_share: float = 1.0

    @torch.no_grad()
    def descent(self, picture: Tensor, weights: Tensor, gradient: Tensor) -> Tensor:
        """The weighted content, style and total variation losses, (3), of a normalised picture (1, 3, H, W).

        `weights` are those of the three terms, (3). The gradient of the weighted sum goes into `gradient`, shaped
        like the picture. Several tiles are gone through twice, for the moments of the whole and then for the
        gradient, and only one tile's maps are ever there.
        """
        gradient.zero_()
        tv = losses.total_variation(picture, weights[2], gradient, self.network.network.shortcuts)
        tiles = self.network.pieces(picture)
        moments: dict[str, Moments] = {}
        for tile in tiles:
            maps = self.network.forward(picture, tile, keep=len(tiles) == 1)
            add_moments(moments, maps, self.style.layers, tile, picture.dtype)
        style, slopes = self.style(moments, self.style_share * weights[1])
        content = tv.new_zeros(())
        for tile in tiles:
            if len(tiles) > 1:
                del maps  # before the next ones come
                maps = self.network.forward(picture, tile, keep=True)
            pull = _Pull(self, slopes, weights, tile)
            seen = self.network.network.backward(maps, pull, tile)
            gradient[..., tile.rows, tile.columns] += seen
            content += pull.content
        return torch.stack((content, self.style_share * style, tv)) * weights


class _Pull:
    """Each layer's own part of the gradient, in bands of rows, and the content loss, found on the way."""

    def __init__(self, objective: Objective, slopes: Mapping[str, Slope], weights: Tensor, tile: Tile) -> None:
        self._objective = objective
        # In the network's own type, which the gradient is going to have anyway.
        dtype = objective.network.network.dtype
        self._slopes = {layer: slope.affine(dtype) for layer, slope in slopes.items()}
        self._weights = weights
        self._tile = tile
        self.content = weights.new_zeros(())

    def __call__(self, layer: str, features: Tensor) -> Iterator[tuple[slice, Tensor]]:
        slope, content = self._slopes.get(layer), self._objective.content.get(layer)
        target = self._tile.part_of_whole(layer, content.target) if content else None
        for band in bands(features):
            here = features[..., band, :]
            if slope:
                matrix, vector = slope
                yield band, losses.as_maps(torch.addmm(vector, losses.as_rows(here), matrix), here)
            if content and target is not None:
                scale = self._objective.content_share * content.scale
                apart = here.to(self._weights.dtype) - target[..., band, :]
                self.content += scale * apart.square().sum()
                yield band, apart.mul_(2 * scale * self._weights[0])


@torch.no_grad()
def objective(
    content: Tensor, styles: Sequence[Style], recipe: Recipe, size: Scale, network: TiledNetwork
) -> Objective:
    """The objective at one scale, from pictures (3, H, W) at their own resolution."""
    device = network.network.device
    picture = network_input(content, recipe, size, device)
    dtype = picture.dtype
    seen = network.features(picture, recipe.content_layers)
    del picture
    parts = []
    for image, _ in styles:
        style = network_input(image, recipe, _style_size(image, recipe, size), device)
        parts.append(network.moments(style, recipe.style_layers))
    whole = sum(weight for _, weight in styles)
    shares = [weight / whole for _, weight in styles]
    blends = {layer: losses.blended([part[layer] for part in parts], shares) for layer in recipe.style_layers}
    if recipe.objective == "textbook":
        return Objective(
            network,
            {layer: Content.textbook(seen[layer], dtype) for layer in recipe.content_layers},
            TextbookStyle.like(blends),
        )
    return Objective(
        network,
        {layer: Content.relative(seen[layer], dtype) for layer in recipe.content_layers},
        RelativeStyle.like(blends),
        content_share=1 / len(recipe.content_layers),
        style_share=1 / len(recipe.style_layers),
    )


def network_input(image: Tensor, recipe: Recipe, size: Scale, device: torch.device) -> Tensor:
    """An image (3, H, W), resized and normalised, (1, 3, height, width) on a device."""
    if recipe.objective == "textbook" and not image.is_floating_point():
        image = pictures.resized_by_pillow(image, size.height_px, size.width_px)
    return pictures.normalise_(pictures.resized_on(device, image, size.height_px, size.width_px))


def _style_size(style: Tensor, recipe: Recipe, size: Scale) -> Scale:
    """Stretched to the result's size as the textbook does, or as long as the result in its own proportions."""
    if recipe.objective == "textbook":
        return size
    height, width = style.shape[-2:]
    # A style isn't enlarged: it has no brushwork to show at a size it was never seen at.
    zoom = min(1.0, max(size.height_px, size.width_px) / max(height, width))
    return Scale(max(MINIMUM_SIDE_PX, round(height * zoom)), max(MINIMUM_SIDE_PX, round(width * zoom)), size.steps)
