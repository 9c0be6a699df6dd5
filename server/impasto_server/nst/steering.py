"""The weights of the three terms, and what changes them while a picture is painted."""

import dataclasses
from dataclasses import dataclass
from typing import Self

from impasto_server.recipes import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """New weights for a running job, from the next step on; None leaves a weight as it is."""

    content_weight: float | None = None
    style_weight: float | None = None
    tv_weight: float | None = None

    def then(self, newer: "Steering") -> "Steering":
        """Both, one after the other: where both set a weight, the newer one counts."""
        changes = {name: value for name, value in dataclasses.asdict(newer).items() if value is not None}
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of the three terms as they stand."""

    content: float
    style: float
    tv: float

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        return cls(recipe.content_weight, recipe.style_weight, recipe.tv_weight)

    def steered(self, steering: Steering | None) -> "Weights":
        if steering is None:
            return self
        return Weights(
            self.content if steering.content_weight is None else steering.content_weight,
            self.style if steering.style_weight is None else steering.style_weight,
            self.tv if steering.tv_weight is None else steering.tv_weight,
        )
