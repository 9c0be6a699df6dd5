"""What decides a picture, as plain data: recipes, their parameters and ranges, the schedule of scales.

Service and worker read the same tables, so nothing here needs torch.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from impasto_server.suggest import unknown

Objective = Literal["textbook", "relative"]
InitialImage = Literal["content", "noise"]
Pooling = Literal["max", "average"]
Precision = Literal["exact", "fastest"]
OptimiserName = Literal["adam", "l-bfgs"]

CONVOLUTIONS_PER_BLOCK = (2, 2, 4, 4, 4)
"""VGG-19's five blocks (Simonyan & Zisserman 2015, table 1, column E)."""

CONVOLUTIONS = tuple(
    f"conv{block}_{index}"
    for block, count in enumerate(CONVOLUTIONS_PER_BLOCK, start=1)
    for index in range(1, count + 1)
)
"""The sixteen convolutions, shallow to deep: `conv1_1` … `conv5_4`."""

LAST_OF_BLOCK = frozenset(f"conv{block}_{count}" for block, count in enumerate(CONVOLUTIONS_PER_BLOCK, start=1))
"""The convolutions that a pooling follows."""

LAYERS = tuple(name for conv in CONVOLUTIONS for name in (conv, conv.replace("conv", "relu")))
"""Every layer a recipe may name: `convB_K` before its ReLU, `reluB_K` after it."""

INITIAL_IMAGES: tuple[InitialImage, ...] = ("content", "noise")
WEIGHTS = ("original", "torchvision")
FILE_PREFIX = "file:"
_MEMORY_BYTES = 150_000_000
"""What L-BFGS may remember steps in, beyond the first ten: a step is two pictures of float32."""
MINIMUM_SIDE_PX = 16
"""VGG-19 halves a picture four times on the way to its fifth block."""


class RecipeError(ValueError):
    """A recipe that can't be: `field` is the parameter at fault, the text says what was expected."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides a picture, apart from the content and the styles.

    Size: either `size_px`, the long side of the result in the content's own proportions, or `height_px` and
    `width_px` exactly. `plan` shares the steps out over the scales.
    """

    name: str
    summary: str
    objective: Objective
    """`textbook`: the losses of Gatys et al. 2016, on styles stretched to the result's size.
    `relative`: each term in units of its own target, on styles in their own proportions."""
    size_px: int | None = 512
    height_px: int | None = None
    width_px: int | None = None
    steps: int
    """Of the whole run; with a `settled_share` the most that are made."""
    settled_share: float | None = None
    """In its last scale a run ends when the mean of its latest totals differs by no more than this share from the mean
    of as many before them. None: all steps are made."""
    settled_over_steps: int = 20
    """How many totals each of the two means is of."""
    coarsest_px: int | None = None
    """Long side of the first scale, roughly; each scale doubles it. None: a single scale."""
    steps_ratio: float = 1.0
    """Steps of a scale for each step of the next coarser one."""
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    content_weight: float
    style_weight: float
    tv_weight: float
    learning_rate: float
    """In units of the normalised picture: 1 is a standard deviation of ImageNet's colours, about 0.225."""
    learning_rate_decay: float
    """Factor on the learning rate after every `decay_every_steps`."""
    decay_every_steps: int
    """Counted from the start of each scale."""
    spectral_power: float = 0.0
    """How much further than fine detail a step takes what is large in the picture: a wave twice as long goes
    4 ^ `spectral_power` times as far for the same slope. 0 treats all waves alike."""
    optimiser: OptimiserName = "adam"
    """`adam` is Kingma & Ba 2015. `l-bfgs` learns from its last steps how far each direction may go (Byrd, Nocedal &
    Schnabel 1994); the learning rate is then the root mean square that no step exceeds."""
    betas: tuple[float, float]
    """Adam's decay rates for the first and second moment."""
    remembered_steps: int = 10
    """How many of them L-BFGS learns from at most; `remembered_in` says how many in a picture of some size."""
    clamp: bool
    """Keep the picture inside [0, 1] at every step, not only when it is shown."""
    pooling: Pooling
    precision: Precision
    """Of the network's convolutions: `exact` is float32; `fastest` is bfloat16 where the device is made for it."""
    initial_image: InitialImage = "content"
    seed: int = 0
    weights: str = "original"
    tile_px: int | None = None
    """Side of the tiles that large pictures are painted in. None: as large as the device's free memory allows."""

    @property
    def longest_px(self) -> int:
        """Long side of the result."""
        return self.size_px or max(self.height_px or 0, self.width_px or 0)

    @property
    def unit_mean(self) -> bool:
        """Whether VGG-19's activations are scaled to average 1 (Gatys et al. 2016, section 2), or stay as published.

        The textbook takes torchvision's weights as they are. The original ones it has to be balanced for: as published,
        their style loss outweighs the content loss a million times.
        """
        return self.objective == "relative" or self.weights == "original"

    @property
    def rounds_down(self) -> bool:
        """Whether 8-bit results lose their fractions of a level, as by the textbook's `ToPILImage`."""
        return self.objective == "textbook"

    def remembered_in(self, scale: "Scale") -> int:
        """How many steps L-BFGS remembers in a scale: more than ten only where there is room for them, and no more than
        its later steps will ask for.
        """
        room = _MEMORY_BYTES // (24 * scale.height_px * scale.width_px)
        return max(1, min(self.remembered_steps, max(10, room), scale.steps - 1))

    def at_one_scale(self) -> "Recipe":
        """For what is at its full size already: no coarser scales before it."""
        return replace(self, coarsest_px=None)


@dataclass(frozen=True, slots=True)
class Scale:
    """One level of the pyramid: its picture size and its share of the steps."""

    height_px: int
    width_px: int
    steps: int


@dataclass(frozen=True, slots=True)
class Parameter:
    """A recipe field that users may set. `minimum` and `maximum` are inclusive; None where there is no order."""

    name: str
    kind: Literal["int", "float", "layers", "choice"]
    minimum: float | None
    maximum: float | None
    unit: str
    description: str
    multiple_of: int = 1
    """A whole number has to be a multiple of it."""


DEFAULT_RECIPE = "painterly"

_PAINTERLY = Recipe(
    name="painterly",
    summary="Coarse to fine: broad colours first, brushwork last. The best-looking.",
    objective="relative",
    steps=80,
    coarsest_px=128,
    steps_ratio=0.6,
    content_layers=("relu4_1",),
    style_layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1"),
    content_weight=1.0,
    style_weight=20.0,
    tv_weight=0.1,
    learning_rate=0.2,
    learning_rate_decay=1.0,
    decay_every_steps=50,
    spectral_power=0.125,
    optimiser="l-bfgs",
    betas=(0.9, 0.999),
    clamp=True,
    pooling="average",
    precision="fastest",
)

_CLASSIC = Recipe(
    name="classic",
    summary="The textbook algorithm (Gatys et al. 2016, Dive into Deep Learning 14.12), to the digit.",
    objective="textbook",
    size_px=None,
    height_px=300,
    width_px=450,
    steps=500,
    # The book reads layers 25 and 0, 5, 10, 19, 28 of torchvision's VGG-19, all convolutions. But the
    # ReLUs behind them work in place, so what it compares are the rectified maps; only behind the
    # last one, conv5_1, no ReLU runs any more.
    content_layers=("relu4_4",),
    style_layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1", "conv5_1"),
    content_weight=1.0,
    style_weight=1e4,
    tv_weight=10.0,
    learning_rate=0.3,
    learning_rate_decay=0.8,
    decay_every_steps=50,
    betas=(0.9, 0.999),
    clamp=False,
    pooling="max",
    precision="exact",
)

_DRAFT = replace(
    _PAINTERLY,
    name="draft",
    summary="A first look within seconds: painterly with a quarter of the steps, most of them on small pictures.",
    steps=20,
    steps_ratio=0.5,
)

_FAST_CLASSIC = replace(
    _CLASSIC,
    name="fast-classic",
    summary="The textbook's objective, reached in a fraction of its time by a better optimiser.",
    steps=400,
    settled_share=0.002,
    steps_ratio=1.5,  # for those who choose a coarsest scale
    optimiser="l-bfgs",
    remembered_steps=30,
    learning_rate=0.1,
    learning_rate_decay=1.0,
    spectral_power=0.25,
    precision="fastest",
)

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {recipe.name: recipe for recipe in (_PAINTERLY, _CLASSIC, _FAST_CLASSIC, _DRAFT)}
)
"""The recipes by name."""

PARAMETERS = (
    Parameter("size_px", "int", 32, 16384, "px", "Long side of the result, in the content's proportions."),
    Parameter("height_px", "int", 32, 16384, "px", "Exact height of the result; needs width_px."),
    Parameter("width_px", "int", 32, 16384, "px", "Exact width of the result; needs height_px."),
    Parameter("steps", "int", 1, 10_000, "steps", "Optimiser steps of the whole run, over all scales."),
    Parameter("content_weight", "float", 0, 1e12, "", "How firmly the content's shapes are held."),
    Parameter("style_weight", "float", 0, 1e12, "", "How firmly the style's textures and colours are sought."),
    Parameter("tv_weight", "float", 0, 1e12, "", "How much neighbouring pixels are smoothed (total variation)."),
    Parameter("learning_rate", "float", 1e-6, 100, "", "How far a step goes, in deviations of ImageNet's colours."),
    Parameter("learning_rate_decay", "float", 1e-6, 1, "", "Factor on the learning rate at each decay."),
    Parameter("decay_every_steps", "int", 1, 10_000, "steps", "Steps from one decay to the next, in each scale."),
    Parameter("content_layers", "layers", None, None, "", "VGG-19 layers that hold the content."),
    Parameter("style_layers", "layers", None, None, "", "VGG-19 layers whose statistics make the style."),
    Parameter("initial_image", "choice", None, None, "", "What the painting starts from: content or noise."),
    Parameter("seed", "int", 0, 2**63 - 1, "", "Seed of the noise; the same seed gives the same picture."),
    Parameter("weights", "choice", None, None, "", "Source of VGG-19: original, torchvision, or file:/path."),
    Parameter(
        "coarsest_px",
        "int",
        16,
        16384,
        "px",
        "Long side of the first scale, roughly; each next one doubles it; the result's size: one scale.",
    ),
    Parameter(
        "tile_px",
        "int",
        64,
        16384,
        "px",
        "Side of the tiles that large pictures are painted in, a multiple of 16; unset: as memory allows.",
        multiple_of=16,
    ),
)
"""What users may set, with ranges; defaults are each recipe's own."""

_PARAMETERS_BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}


def customise(recipe_name: str, overrides: Mapping[str, object]) -> Recipe:
    """The named recipe with some parameters set by the user.

    Keys are names from `PARAMETERS`. Asking for `size_px` drops a recipe's own height and width, and the other
    way round. Steps that were asked for are made, all of them: such a run doesn't end by settling.

    Raises `RecipeError`, naming the parameter and what it expects.
    """
    if recipe_name not in RECIPES:
        raise RecipeError("recipe", unknown("recipe", recipe_name, RECIPES))
    values = {name: _validated(name, value) for name, value in overrides.items()}
    exact = [name for name in ("height_px", "width_px") if name in values]
    if len(exact) == 1:
        missing = "width_px" if exact == ["height_px"] else "height_px"
        raise RecipeError(exact[0], f"{exact[0]} needs {missing} beside it; for one side alone set size_px.")
    if exact and "size_px" in values:
        raise RecipeError("size_px", "Set either size_px or height_px and width_px, not all of them.")
    if exact:
        values["size_px"] = None
    elif "size_px" in values:
        values |= {"height_px": None, "width_px": None}
    if "steps" in values:
        values["settled_share"] = None
    return replace(RECIPES[recipe_name], **values)  # type: ignore[arg-type]


def plan(recipe: Recipe, content_height: int, content_width: int) -> tuple[Scale, ...]:
    """The scales a run goes through, coarse to fine; their steps add up to `recipe.steps`.

    Content height and width in pixels. Every scale keeps the result's proportions, to the pixel and with no side
    under 16 pixels. A run with fewer steps than scales leaves out the coarsest.
    """
    if recipe.height_px is not None and recipe.width_px is not None:
        height, width = recipe.height_px, recipe.width_px
    else:
        assert recipe.size_px is not None
        zoom = recipe.size_px / max(content_height, content_width)
        height, width = _shrunk(content_height, content_width, zoom)
    count = 1
    if recipe.coarsest_px is not None:
        count += max(0, round(math.log2(max(height, width) / recipe.coarsest_px)))
    count = min(count, recipe.steps)
    shares = _shared_out(recipe.steps, [recipe.steps_ratio**index for index in range(count)])
    return tuple(
        Scale(*_shrunk(height, width, 0.5 ** (count - 1 - index)), share) for index, share in enumerate(shares)
    )


def _shrunk(height: int, width: int, zoom: float) -> tuple[int, int]:
    return max(MINIMUM_SIDE_PX, round(height * zoom)), max(MINIMUM_SIDE_PX, round(width * zoom))


def _shared_out(total: int, weights: list[float]) -> list[int]:
    """Whole numbers in proportion to the weights, each at least 1, adding up to the total."""
    spare = total - len(weights)
    ideal = [spare * weight / sum(weights) for weight in weights]
    shares = [math.floor(share) for share in ideal]
    by_remainder = sorted(range(len(weights)), key=lambda index: shares[index] - ideal[index])
    for index in by_remainder[: spare - sum(shares)]:
        shares[index] += 1
    return [share + 1 for share in shares]


def _validated(name: str, value: object) -> object:
    parameter = _PARAMETERS_BY_NAME.get(name)
    if parameter is None:
        raise RecipeError(name, unknown("parameter", name, _PARAMETERS_BY_NAME))
    match parameter.kind:
        case "layers":
            return _layers(name, value)
        case "choice" if name == "weights":
            return _weights(value)
        case "choice":
            if value not in INITIAL_IMAGES:
                raise RecipeError(name, unknown("initial image", value, INITIAL_IMAGES))
            return value
        case "int" | "float":
            return _number(parameter, value)


def _number(parameter: Parameter, value: object) -> int | float:
    assert parameter.minimum is not None and parameter.maximum is not None
    noun = "a whole number" if parameter.kind == "int" else "a number"
    unit = f" {parameter.unit}" if parameter.unit else ""
    expected = f"expected {noun} from {parameter.minimum:g} to {parameter.maximum:g}{unit}"
    if parameter.multiple_of > 1:
        expected += f", a multiple of {parameter.multiple_of}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecipeError(parameter.name, f"{parameter.name} is {value!r}; {expected}.")
    if parameter.kind == "int" and not float(value).is_integer():
        raise RecipeError(parameter.name, f"{parameter.name} is {value!r}; {expected}.")
    if not parameter.minimum <= value <= parameter.maximum:
        raise RecipeError(parameter.name, f"{parameter.name} is {value!r}; {expected}.")
    if value % parameter.multiple_of and parameter.kind == "int":
        raise RecipeError(parameter.name, f"{parameter.name} is {value!r}; {expected}.")
    return int(value) if parameter.kind == "int" else float(value)


def _layers(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise RecipeError(name, f"{name} is {value!r}; expected a list of layers such as ['relu3_1', 'relu4_1'].")
    layers = tuple(value)
    if not layers:
        raise RecipeError(name, f"{name} is empty; expected at least one layer such as 'relu4_1'.")
    for layer in layers:
        if layer not in LAYERS:
            raise RecipeError(name, unknown("VGG-19 layer", layer, LAYERS))
    if len(set(layers)) != len(layers):
        raise RecipeError(name, f"{name} names a layer twice: {', '.join(layers)}.")
    return layers


def _weights(value: object) -> str:
    if isinstance(value, str) and value.startswith(FILE_PREFIX):
        if not value.removeprefix(FILE_PREFIX).startswith("/"):
            raise RecipeError("weights", f"weights is {value!r}; expected an absolute path, file:/path/to/vgg19.")
        return value
    if value not in WEIGHTS:
        raise RecipeError("weights", unknown("source of weights", value, (*WEIGHTS, "file:/path")))
    return str(value)
