"""A picture that isn't finite any more ends its run: it is never kept, and never a success."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from impasto_server import nst, recipes

RECIPES = [
    recipes.customise("painterly", {"size_px": 48, "steps": 9, "coarsest_px": 48}),
    recipes.customise("classic", {"size_px": 48, "steps": 9}),
]


def lost(content: Tensor, style: Tensor, recipe: recipes.Recipe, vgg: nst.Vgg) -> Iterator[nst.Step]:
    """A run whose third step is made with a weight that is no number to calculate with."""
    run = nst.stylize(content, [(style, 1.0)], recipe, vgg=vgg)
    yield next(run)
    yield next(run)
    yield run.send(nst.Steering(style_weight=math.inf))
    yield from run


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_run_ends_within_two_steps_of_its_picture_being_lost(
    recipe: recipes.Recipe, vgg: nst.Vgg, content: Tensor, style: Tensor
) -> None:
    made = 0
    with pytest.raises(nst.DivergedError, match=r"The picture was lost at step [23]: ") as caught:
        for step in lost(content, style, recipe, vgg):
            made = step.step
    assert made <= caught.value.step + 2


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_lost_picture_is_neither_kept_nor_written(
    recipe: recipes.Recipe, vgg: nst.Vgg, content: Tensor, style: Tensor
) -> None:
    steps = lost(content, style, recipe, vgg)
    next(steps), next(steps)
    third = next(steps)
    assert not torch.isfinite(third._picture).all()
    for taken in (third.checkpoint, third.last_checkpoint, third.rows):
        with pytest.raises(nst.DivergedError, match="lost at step 3"):
            taken()


def test_a_content_that_is_no_picture_is_told_at_the_first_chance(vgg: nst.Vgg, content: Tensor, style: Tensor) -> None:
    content = content.clone()
    content[0, 3, 5] = math.nan
    steps = nst.stylize(content, [(style, 1.0)], RECIPES[0], vgg=vgg)
    next(steps)
    with pytest.raises(nst.DivergedError, match="lost at step 0"):
        next(steps)
