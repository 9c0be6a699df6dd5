"""What a run descends on at one scale: the losses of a picture against its content and its styles."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto_server.recipes import MINIMUM_SIDE_PX, Recipe, Scale

from . import losses, pictures
from .losses import Moments
from .run import Weights
from .vgg import Vgg

Style = tuple[Tensor, float]
"""A picture, float32 (3, H, W) RGB in [0, 1], and its weight among the styles."""


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """The losses by layer, each holding its target, and the network that takes a picture to those layers."""

    recipe: Recipe
    vgg: Vgg
    content: Mapping[str, Callable[[Tensor], Tensor]]
    style: Mapping[str, Callable[[Moments], Tensor]]

    def terms(self, picture: Tensor, weights: Weights) -> Tensor:
        """The weighted content, style and total variation losses, (3), of a normalised picture (1, 3, H, W)."""
        found = _activations(picture, {*self.content, *self.style}, self.recipe, self.vgg)
        content = torch.stack([loss(found[layer]) for layer, loss in self.content.items()])
        style = torch.stack([loss(losses.moments(found[layer])) for layer, loss in self.style.items()])
        # The textbook sums over layers. Relative losses are averaged: one layer more must not change the balance.
        over_layers = torch.sum if self.recipe.objective == "textbook" else torch.mean
        return torch.stack(
            (
                weights.content * over_layers(content),
                weights.style * over_layers(style),
                weights.tv * losses.total_variation(picture),
            )
        )


@torch.no_grad()
def objective(content: Tensor, styles: Sequence[Style], recipe: Recipe, size: Scale, vgg: Vgg) -> Objective:
    """The objective at one scale, from pictures (3, H, W) in [0, 1] at their own resolution."""
    seen = _activations(network_input(content, size, vgg), recipe.content_layers, recipe, vgg)
    parts = []
    for image, _ in styles:
        style = network_input(image, _style_size(image, recipe, size), vgg)
        found = _activations(style, recipe.style_layers, recipe, vgg)
        parts.append({layer: losses.moments(features) for layer, features in found.items()})
    whole = sum(weight for _, weight in styles)
    shares = [weight / whole for _, weight in styles]
    blends = {layer: losses.blended([part[layer] for part in parts], shares) for layer in recipe.style_layers}
    if recipe.objective == "textbook":
        return Objective(
            recipe,
            vgg,
            {layer: functools.partial(losses.textbook_content, target=seen[layer]) for layer in recipe.content_layers},
            {layer: functools.partial(losses.textbook_style, target=blend) for layer, blend in blends.items()},
        )
    return Objective(
        recipe,
        vgg,
        {layer: functools.partial(losses.relative_content, target=seen[layer]) for layer in recipe.content_layers},
        {
            layer: functools.partial(losses.relative_style, target=losses.normal(blend))
            for layer, blend in blends.items()
        },
    )


def network_input(image: Tensor, size: Scale, vgg: Vgg) -> Tensor:
    """An image (3, H, W) in [0, 1], resized and normalised, (1, 3, height, width) on the network's device."""
    return pictures.normalised(pictures.resized(image, size.height_px, size.width_px).to(vgg.device))


def _style_size(style: Tensor, recipe: Recipe, size: Scale) -> Scale:
    """Stretched to the result's size as the textbook does, or as long as the result in its own proportions."""
    if recipe.objective == "textbook":
        return size
    height, width = style.shape[-2:]
    # A style isn't enlarged: it has no brushwork to show at a size it was never seen at.
    zoom = min(1.0, max(size.height_px, size.width_px) / max(height, width))
    return Scale(max(MINIMUM_SIDE_PX, round(height * zoom)), max(MINIMUM_SIDE_PX, round(width * zoom)), size.steps)


def _activations(picture: Tensor, layers: Collection[str], recipe: Recipe, vgg: Vgg) -> dict[str, Tensor]:
    # Zeros around a picture are a frame that the painting would answer with one of its own.
    replicate_border = recipe.objective == "relative"
    return vgg.activations(picture, layers, pooling=recipe.pooling, replicate_border=replicate_border)
