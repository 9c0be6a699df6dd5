"""Real weights, and real photos at small sizes."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from impasto_server import nst
from impasto_server.nst.pictures import resized
from impasto_server.nst.unit_mean import original_means, unit_mean
from impasto_server.nst.weights import read_convolutions


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """At these sizes threads wait for each other longer than they work, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def vgg() -> nst.Vgg:
    """The embedded original weights, on the CPU."""
    return nst.load_vgg("original", torch.device("cpu"))


@pytest.fixture(scope="session")
def content() -> Tensor:
    """A cup of coffee, 80 × 120 (scikit-image, CC0)."""
    return photograph("coffee", 80, 120)


@pytest.fixture(scope="session")
def style() -> Tensor:
    """A cat, 90 × 100 (scikit-image, CC0)."""
    return photograph("chelsea", 90, 100)


def photograph(name: str, height: int, width: int) -> Tensor:
    import skimage.data  # what needs a GPU is tested on machines that may not have it

    pixels = torch.from_numpy(getattr(skimage.data, name)())
    return resized(pixels.permute(2, 0, 1) / 255, height, width)


def vgg_in(dtype: torch.dtype) -> nst.Vgg:
    """The embedded network scaled to unit mean in that type: float32's rounding would show in float64's digits."""
    convolutions = {name: part.to(dtype) for name, part in read_convolutions("original").items()}
    return nst.Vgg("original", unit_mean(convolutions, original_means()))
