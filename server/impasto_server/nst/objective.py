"""What a run descends on at one scale: the losses of a picture against its content and its styles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto_server.recipes import MINIMUM_SIDE_PX, Recipe, Scale

from . import losses, pictures
from .losses import Content, Moments, RelativeStyle, Slope, StyleLoss, TextbookStyle
from .maps import Maps, StylePull
from .network import ContentPull, Pull
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
    def loss_and_gradient(self, picture: Tensor, weights: Tensor, gradient: Tensor) -> Tensor:
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

            def see(layer: str, maps: Maps, tile: Tile = tile) -> None:
                if layer in self.style.layers:
                    add_moments(moments, layer, maps, tile, picture.dtype)

            kept = self.network.forward(picture, tile, keep=tile is tiles[-1], see=see)
        style, slopes = self.style(moments, self.style_share * weights[1])
        pulls, magnified = self._pulls(slopes, weights)
        content = tv.new_zeros(())
        for tile in (tiles[-1], *tiles[:-1]):  # the maps of the last one are there already
            kept = kept or self.network.forward(picture, tile, keep=True)
            seen, distances = self.network.network.backward(kept, pulls, tile)
            if magnified is not None:
                seen = seen.to(gradient.dtype) / magnified
            gradient[..., tile.rows, tile.columns] += seen
            for layer, distance in distances.items():
                content += self.content_share * self.content[layer].scale * distance
        return torch.stack((content, self.style_share * style, tv)) * weights

    def _pulls(self, slopes: Mapping[str, Slope], weights: Tensor) -> tuple[dict[str, Pull], Tensor | None]:
        """What pulls at the layers, and how many times as hard as it should, (); None: just as hard."""
        dtype = self.network.network.dtype
        by_content = 2 * self.content_share * weights[0]
        content = {layer: ContentPull(each.target, by_content * each.scale) for layer, each in self.content.items()}
        if dtype != torch.float16:
            style = {layer: StylePull(*slope.affine(dtype)) for layer, slope in slopes.items()}
            magnified = None
        else:
            # A position's part of a mean over all of them is less than float16 can tell from zero. A power of two, so
            # that nothing is rounded, has features of 1 pulled by no more than about 1.
            exact = {layer: slope.affine(weights.dtype) for layer, slope in slopes.items()}
            sizes = [(matrix.abs().sum(0) + vector.abs()).max() for matrix, vector in exact.values()]
            largest = torch.stack([*sizes, *(each.factor for each in content.values())]).max()
            magnified = torch.exp2(-largest.clamp_min(_SMALLEST_PULL).log2().ceil())
            style = {
                layer: StylePull((matrix * magnified).to(dtype), (vector * magnified).to(dtype))
                for layer, (matrix, vector) in exact.items()
            }
            content = {layer: ContentPull(each.target, each.factor * magnified) for layer, each in content.items()}
        return {layer: Pull(style.get(layer), content.get(layer)) for layer in {*style, *content}}, magnified


_SMALLEST_PULL = 1e-30
"""Where nothing pulls, nothing is to be magnified beyond all numbers."""


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
