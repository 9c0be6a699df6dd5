"""All of a run on tensors that say they are on a GPU and compute nothing: no devices are mixed, nothing waits unseen.

Such tensors raise where a value is asked for (`.item()`, `float(t)`, `bool(t)`): whatever a step asks of the device, it
doesn't ask for an answer. What a run does wait for, by a mark, is put in place here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from impasto_server import nst, recipes
from impasto_server.nst import losses, marks, pictures, tile_sides
from impasto_server.nst import step as step_module
from impasto_server.nst.shortcuts import Shortcuts
from impasto_server.nst.weights import Convolution
from impasto_server.recipes import CONVOLUTIONS, CONVOLUTIONS_PER_BLOCK, Recipe

# Not recorded: there is nothing that could record. Tensors that say they are on Metal or on Intel's GPUs need a torch
# that was built for those.
TRUSTED = {
    "cuda:0": Shortcuts(reduced=torch.bfloat16, fused=True, own_kernels=True),
    "cuda:1": Shortcuts(reduced=torch.float16),
}


class NoFloat64(TorchDispatchMode):
    """Metal has none, and on other GPUs it is slow: what needs it is done on the CPU."""

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.device.type != "cpu":
                assert tensor.dtype not in (torch.float64, torch.complex128), f"{func} makes float64"
        return result


class _Reached:
    def synchronize(self) -> None:
        """There is nothing to wait for."""


@pytest.fixture(autouse=True)
def nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def numbers(_: marks.Reading) -> list[float]:
        return [1.0, 1.0, 1.0]

    monkeypatch.setattr(marks, "mark", lambda _: _Reached())
    monkeypatch.setattr(step_module, "mark", lambda _: _Reached())
    monkeypatch.setattr(step_module, "beside", lambda _: nullcontext())
    monkeypatch.setattr(marks.Reading, "numbers", numbers)
    monkeypatch.setattr(step_module.Step, "_check", lambda _: None)
    monkeypatch.setattr(tile_sides, "free_memory_bytes", lambda _: 2**40)
    # How many directions a style has is looked up in its numbers, once a scale and on the CPU.
    monkeypatch.setattr(losses, "principal_root", torch.empty_like)
    kept = (pictures._constant, pictures._resizes)
    for of_a_device in kept:
        of_a_device.cache_clear()
    yield
    for of_a_device in kept:
        of_a_device.cache_clear()


@pytest.fixture(params=list(TRUSTED))
def vgg(request: pytest.FixtureRequest) -> Iterator[nst.Vgg]:
    """A network of the right shapes on a device that isn't there."""
    device = torch.device(request.param)
    channels = [64, 128, 256, 512, 512]
    outs = [made for made, times in zip(channels, CONVOLUTIONS_PER_BLOCK, strict=True) for _ in range(times)]
    with FakeTensorMode(), NoFloat64():
        with device:
            layers = zip(CONVOLUTIONS, pairwise([3, *outs]), strict=True)
            parts = {name: Convolution(torch.zeros(out, into, 3, 3), torch.zeros(out)) for name, (into, out) in layers}
        yield nst.Vgg("nothing", parts, TRUSTED[request.param])


def small(name: str) -> Recipe:
    return recipes.customise(name, {"size_px": 96, "steps": 5, "coarsest_px": 48})


@pytest.mark.parametrize("tile_px", [None, 64], ids=["whole", "in tiles"])
@pytest.mark.parametrize("name", ["painterly", "classic", "fast-classic"])
def test_every_recipe_stays_on_its_device(name: str, tile_px: int | None, vgg: nst.Vgg) -> None:
    # The textbook's bytes are resized by Pillow, which wants real ones.
    dtype = torch.uint8 if name == "painterly" else torch.float32
    content, style = torch.zeros(3, 70, 110, dtype=dtype), torch.zeros(3, 90, 50, dtype=dtype)
    run = nst.stylize(content, [(style, 1.0), (style, 2.0)], small(name), vgg=vgg, tile_px=tile_px)
    last = next(run)
    checkpoints = [last.checkpoint()]
    for number in range(2, 6):
        last = run.send(nst.Steering(style_weight=3.0) if number == 3 else None)
        assert last.step == number
        assert last._picture.device == vgg.device
        checkpoints.append(last.checkpoint())
    assert last.look(32).image().device.type == "cpu"
    assert sum(len(rows) for rows in last.rows(16)) == last.height_px
    assert len(list(last.rows(8))) > 0
    for checkpoint in checkpoints:
        assert {tensor.device.type for tensor in checkpoint.tensors.values()} == {"cpu"}
    rest = nst.stylize(content, [(style, 1.0)], small(name), vgg=vgg, resume=checkpoints[2])
    assert next(rest).step == 4
    further = nst.stylize(content, [(style, 1.0)], small(name), vgg=vgg, begin_from=last.last_checkpoint())
    assert next(further).step == 1


def test_noise_begins_on_the_host(vgg: nst.Vgg) -> None:
    content = torch.zeros(3, 70, 110, dtype=torch.uint8)
    recipe = replace(small("painterly"), initial_image="noise")
    assert next(nst.stylize(content, [(content, 1.0)], recipe, vgg=vgg))._picture.device == vgg.device


def test_a_step_that_asks_the_device_for_an_answer_is_caught(vgg: nst.Vgg, monkeypatch: pytest.MonkeyPatch) -> None:
    def asking(picture: Tensor, weight: Tensor, gradient: Tensor, *_: Any) -> Tensor:
        return picture.new_tensor(float(picture.sum()))

    monkeypatch.setattr(losses, "total_variation", asking)
    content = torch.zeros(3, 70, 110, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match=r"aten\._local_scalar_dense"):
        next(nst.stylize(content, [(content, 1.0)], small("painterly"), vgg=vgg))
