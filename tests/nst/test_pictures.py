"""Pictures on their way to the network and back: what is resized where, and in which numbers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from impasto_server.nst import pictures
from impasto_server.nst.objective import network_input
from impasto_server.nst.pictures import rows_shown, shown
from impasto_server.recipes import RECIPES, Scale
from tests import the_book

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")
SIZE = Scale(48, 70, 1)
RESIZE = torch.ops.aten._upsample_bilinear2d_aa.default


class Watched(TorchDispatchMode):
    """Every operation that runs; `lacking` devices have no kernel for resizing, as Metal's torch long had none."""

    def __init__(self, *, lacking: torch.device | None = None) -> None:
        super().__init__()
        self.lacking = lacking
        self.resized_on: list[torch.device] = []
        self.largest_floats = 0
        """On the CPU, in numbers."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is RESIZE and args[0].device == self.lacking:
            raise NotImplementedError("The operator 'aten::_upsample_bilinear2d_aa.out' is not implemented here.")
        made = func(*args, **(kwargs or {}))
        if func is RESIZE:
            self.resized_on.append(args[0].device)
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and tensor.device == CPU and tensor.is_floating_point():
                self.largest_floats = max(self.largest_floats, tensor.numel())
        return made


@pytest.fixture(autouse=True)
def other_devices() -> Iterator[None]:
    """What is known of real devices is asked again."""
    pictures._resizes.cache_clear()
    pictures._constant.cache_clear()
    yield
    pictures._resizes.cache_clear()
    pictures._constant.cache_clear()


def on_a_gpu(height: int, width: int, watched: Watched) -> Tensor:
    """A photo of bytes as the painter hands it over, taken to a GPU that computes nothing."""
    with FakeTensorMode(), watched:
        photo = torch.zeros((height, width, 3), dtype=torch.uint8).permute(2, 0, 1)
        return network_input(photo, RECIPES["painterly"], SIZE, GPU)


def test_textbook_bytes_reach_the_network_as_the_book_s_own_do(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(skimage.data.coffee()).save(path)
    with Image.open(path) as image:
        photo = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    for size in (SIZE, Scale(500, 700, 1), Scale(400, 600, 1)):
        expected = the_book.preprocessed(path, size.height_px, size.width_px)
        for name in ("classic", "fast-classic"):
            assert torch.equal(network_input(photo, RECIPES[name], size, CPU), expected)
    assert not torch.equal(
        network_input(photo, RECIPES["painterly"], SIZE, CPU),
        the_book.preprocessed(path, SIZE.height_px, SIZE.width_px),
    )


def test_textbook_bytes_of_a_result_are_the_book_s_own() -> None:
    picture = 2 * torch.randn((1, 3, 40, 50), generator=torch.Generator().manual_seed(2))
    expected = torch.from_numpy(the_book.postprocessed(picture).copy())
    assert torch.equal(shown(picture, down=True), expected)
    assert torch.equal(torch.cat(list(rows_shown(picture, 8, down=True))), expected)
    away = shown(picture).int() - expected.int()
    assert away.unique().tolist() == [0, 1]
    assert torch.equal(next(rows_shown(picture, 16, down=True)).int(), next(rows_shown(picture, 16)).int())


def test_a_photo_goes_to_the_gpu_in_bytes_and_is_resized_there() -> None:
    watched = Watched()
    seen = on_a_gpu(600, 800, watched)
    assert (seen.device, seen.dtype, seen.shape) == (GPU, torch.float32, (1, 3, 48, 70))
    assert set(watched.resized_on) == {GPU}
    assert watched.largest_floats <= 3  # ImageNet's colours


def test_a_device_that_cannot_resize_gets_the_resized_picture() -> None:
    watched = Watched(lacking=GPU)
    assert on_a_gpu(600, 800, watched).device == GPU
    assert set(watched.resized_on) == {CPU}
    assert watched.largest_floats == 600 * 800  # one colour at a time


@pytest.mark.parametrize(("height", "where"), [(60 * 48, GPU), (60 * 48 + 1, CPU)])
def test_a_picture_that_shrinks_too_far_for_a_gpu_s_kernel_is_resized_on_the_cpu(
    height: int, where: torch.device
) -> None:
    """CUDA's keeps its weights in 48 KB of a block's memory, which last for 90 times smaller."""
    watched = Watched()
    assert on_a_gpu(height, 70, watched).device == GPU
    assert set(watched.resized_on) == {where}


def test_a_picture_s_own_numbers_stay_as_they_were() -> None:
    for photo in (torch.rand(3, 48, 70), torch.rand(3, 90, 90), torch.randint(0, 256, (3, 48, 70)).to(torch.uint8)):
        before = photo.clone()
        for recipe in RECIPES.values():
            network_input(photo, recipe, SIZE, CPU)
        assert torch.equal(photo, before)
