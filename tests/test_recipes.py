"""Recipes: what users may set, what they are told when they can't, and how steps are shared out over scales."""

import ast
import math
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from impasto_server import recipes
from impasto_server.recipes import DEFAULT_RECIPE, LAYERS, PARAMETERS, RECIPES, RecipeError, Scale, customise, plan

NUMBERS = [parameter for parameter in PARAMETERS if parameter.minimum is not None]


def test_reading_recipes_needs_no_torch() -> None:
    program = "import sys, impasto_server.recipes; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ast.literal_eval(found.stdout.strip()) is False


def test_a_recipe_without_overrides_is_the_published_one() -> None:
    assert [customise(name, {}) for name in RECIPES] == list(RECIPES.values())
    assert DEFAULT_RECIPE in RECIPES


def test_every_published_recipe_lies_inside_its_own_ranges() -> None:
    for recipe in RECIPES.values():
        own = {p.name: getattr(recipe, p.name) for p in PARAMETERS if getattr(recipe, p.name) is not None}
        assert replace(customise(recipe.name, own), settled_share=recipe.settled_share) == recipe


def test_classic_keeps_the_book_s_size_until_another_is_asked_for() -> None:
    assert plan(customise("classic", {}), 700, 500) == (recipes.Scale(300, 450, 500),)
    assert plan(customise("classic", {"size_px": 100}), 700, 500) == (recipes.Scale(100, 71, 500),)
    assert plan(customise("classic", {"height_px": 64, "width_px": 96}), 700, 500) == (recipes.Scale(64, 96, 500),)


@pytest.mark.parametrize(
    ("overrides", "field", "message"),
    [
        ({"size_px": 31}, "size_px", "size_px is 31; expected a whole number from 32 to 16384 px."),
        ({"size_px": 100.5}, "size_px", "size_px is 100.5; expected a whole number from 32 to 16384 px."),
        ({"size_px": "big"}, "size_px", "size_px is 'big'; expected a whole number from 32 to 16384 px."),
        ({"steps": True}, "steps", "steps is True; expected a whole number from 1 to 10000 steps."),
        ({"style_weight": math.nan}, "style_weight", "style_weight is nan; expected a number from 0 to 1e+12."),
        ({"style_weight": math.inf}, "style_weight", "style_weight is inf; expected a number from 0 to 1e+12."),
        ({"tv_weight": -1}, "tv_weight", "tv_weight is -1; expected a number from 0 to 1e+12."),
        ({"learning_rate": 0}, "learning_rate", "learning_rate is 0; expected a number from 1e-06 to 100."),
        ({"height_px": 64}, "height_px", "height_px needs width_px beside it; for one side alone set size_px."),
        ({"width_px": 64}, "width_px", "width_px needs height_px beside it; for one side alone set size_px."),
        (
            {"size_px": 64, "height_px": 64, "width_px": 64},
            "size_px",
            "Set either size_px or height_px and width_px, not all of them.",
        ),
        ({"style_layers": []}, "style_layers", "style_layers is empty; expected at least one layer such as 'relu4_1'."),
        ({"style_layers": ["relu1_1"] * 2}, "style_layers", "style_layers names a layer twice: relu1_1, relu1_1."),
        (
            {"weights": "file:vgg.pt"},
            "weights",
            "weights is 'file:vgg.pt'; expected an absolute path, file:/path/to/vgg19.",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_range(overrides: dict[str, object], field: str, message: str) -> None:
    with pytest.raises(RecipeError) as refused:
        customise("painterly", overrides)
    assert (refused.value.field, refused.value.message) == (field, message)


@pytest.mark.parametrize(
    ("overrides", "beginning"),
    [
        ({"style_wieght": 1}, "There is no parameter 'style_wieght'. Did you mean 'style_weight'?"),
        ({"content_layers": ["conv4_9"]}, "There is no VGG-19 layer 'conv4_9'. Did you mean 'conv4_"),
        ({"weights": "orignal"}, "There is no source of weights 'orignal'. Did you mean 'original'?"),
        ({"initial_image": "nois"}, "There is no initial image 'nois'. Did you mean 'noise'?"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(overrides: dict[str, object], beginning: str) -> None:
    with pytest.raises(RecipeError) as refused:
        customise("classic", overrides)
    assert refused.value.field in overrides
    assert refused.value.message.startswith(beginning)


def test_a_misspelt_recipe_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecipeError) as refused:
        customise("painterli", {})
    assert refused.value.field == "recipe"
    assert refused.value.message.startswith("There is no recipe 'painterli'. Did you mean 'painterly'?")


@given(parameter=st.sampled_from(NUMBERS), value=st.floats() | st.integers() | st.sampled_from((64, 512, 16384)))
@example(parameter=recipes._PARAMETERS_BY_NAME["tile_px"], value=100)
def test_a_number_is_taken_exactly_when_it_lies_in_its_range(parameter: recipes.Parameter, value: float) -> None:
    assert parameter.minimum is not None
    assert parameter.maximum is not None
    fits = parameter.minimum <= value <= parameter.maximum
    if parameter.kind == "int":
        fits = fits and float(value).is_integer() and not value % parameter.multiple_of
    both = {"height_px": value, "width_px": value} if parameter.name in ("height_px", "width_px") else {}
    overrides = both or {parameter.name: value}
    if fits:
        assert getattr(customise("painterly", overrides), parameter.name) == value
    else:
        with pytest.raises(RecipeError):
            customise("painterly", overrides)


@given(
    name=st.sampled_from(list(RECIPES)),
    size=st.integers(32, 16384),
    steps=st.integers(1, 10_000),
    height=st.integers(1, 4000),
    width=st.integers(1, 4000),
)
def test_scales_grow_to_the_size_asked_for_and_use_up_the_steps(
    name: str, size: int, steps: int, height: int, width: int
) -> None:
    scales = plan(customise(name, {"size_px": size, "steps": steps}), height, width)
    assert sum(scale.steps for scale in scales) == steps
    assert all(scale.steps >= 1 and min(scale.height_px, scale.width_px) >= 16 for scale in scales)
    assert max(scales[-1].height_px, scales[-1].width_px) == size
    long_sides = [max(scale.height_px, scale.width_px) for scale in scales]
    assert long_sides == sorted(set(long_sides))
    short, long = sorted((height, width))
    assert abs(min(scales[-1].height_px, scales[-1].width_px) - max(16, size * short / long)) <= 0.5


def test_steps_that_were_asked_for_are_made_settled_or_not() -> None:
    assert RECIPES["fast-classic"].settled_share
    assert customise("fast-classic", {"size_px": 256}).settled_share == RECIPES["fast-classic"].settled_share
    assert customise("fast-classic", {"steps": 400}).settled_share is None


@given(steps=st.integers(10, 2000))
def test_finer_scales_get_fewer_steps(steps: int) -> None:
    shares = [scale.steps for scale in plan(customise("painterly", {"steps": steps, "size_px": 1024}), 3, 4)]
    assert shares == sorted(shares, reverse=True)


def test_layers_carry_the_paper_s_names_from_shallow_to_deep() -> None:
    assert len(LAYERS) == 32
    assert LAYERS[:4] == ("conv1_1", "relu1_1", "conv1_2", "relu1_2")
    assert LAYERS[-1] == "relu5_4"


def test_l_bfgs_remembers_no_more_steps_than_a_scale_makes_after_its_first() -> None:
    painterly = RECIPES["painterly"]
    assert [painterly.remembered_in(Scale(64, 64, steps)) for steps in (1, 2, 5, 100)] == [1, 1, 4, 10]
    fast_classic = RECIPES["fast-classic"]
    sizes = ((300, 450), (427, 640), (683, 1024), (4096, 4096))
    assert [fast_classic.remembered_in(Scale(*size, 180)) for size in sizes] == [30, 22, 10, 10]


@pytest.mark.parametrize(
    ("recipe", "coarsest_px", "long_sides"),
    [
        ("painterly", 64, [64, 128, 256, 512]),
        ("painterly", 512, [512]),
        ("painterly", 16384, [512]),
        ("classic", 100, [128, 256, 512]),
        ("fast-classic", 256, [256, 512]),
    ],
)
def test_the_first_scale_can_be_chosen_for_any_recipe(recipe: str, coarsest_px: int, long_sides: list[int]) -> None:
    scales = plan(customise(recipe, {"size_px": 512, "coarsest_px": coarsest_px}), 300, 400)
    assert [max(scale.height_px, scale.width_px) for scale in scales] == long_sides
