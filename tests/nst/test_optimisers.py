"""What every optimiser owes its run: a step is taken as a whole or not at all."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from impasto_server.nst import bands, run, spectrum
from impasto_server.recipes import RECIPES, Recipe, Scale

SIDES = (40, 60)
BAND_BYTES = 2000


class NoRoom(TorchDispatchMode):
    """Refuses the n-th allocation."""

    def __init__(self, refused: int) -> None:
        super().__init__()
        self.left = refused
        self.refused_bytes: int | None = None

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and all(each.alias_info is None for each in func._schema.returns):
            self.left -= 1
            if self.left == 0:
                self.refused_bytes = result.nbytes
                raise torch.OutOfMemoryError("no room")
        return result


@pytest.mark.parametrize("name", ["painterly", "fast-classic", "classic"])
def test_a_step_without_room_changes_nothing_and_can_be_taken_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused at each allocation in turn, until what is left to be taken is no more than a band's."""
    for module in (bands, spectrum):
        monkeypatch.setattr(module, "band_bytes", lambda device: BAND_BYTES)
    recipe = RECIPES[name]
    undisturbed = started(recipe)
    for made in range(4):
        step(undisturbed, made, recipe)
    refusals = 0
    while True:
        refusals += 1
        state, mode = started(recipe), NoRoom(refusals)
        step(state, 0, recipe)
        step(state, 1, recipe)
        before = copies(state)
        try:
            with mode:
                step(state, 2, recipe)
        except torch.OutOfMemoryError:
            pass
        else:
            break
        if not torch.equal(state.picture, before["picture"]):
            assert mode.refused_bytes is not None
            assert mode.refused_bytes <= BAND_BYTES
            break
        assert_same(copies(state), before)
        step(state, 2, recipe)
        step(state, 3, recipe)
        assert_same(copies(state), copies(undisturbed))
    assert refusals > (20 if recipe.optimiser == "l-bfgs" else 1)


def started(recipe: Recipe) -> run.State:
    picture = torch.randn(1, 3, *SIDES, generator=torch.Generator().manual_seed(1))
    return run.State.start(picture, Scale(*SIDES, 100), recipe)


def step(state: run.State, made: int, recipe: Recipe) -> None:
    slope = torch.sin(state.picture) + 0.1 * state.picture
    numbers = torch.tensor(state.optimiser.step_numbers(recipe.learning_rate, made, recipe))
    state.step(slope, numbers, recipe)


def copies(state: run.State) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in (*state.optimiser.tensors().items(), ("picture", state.picture))}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name]), name
