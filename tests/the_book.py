"""The book's own code, Dive into Deep Learning 14.12, from two files to a picture: what `classic` is held against.

In our own words, with Pillow, torchvision and autograd; only the raw numbers of the weights are read by our code. The
ReLUs work in place, as torchvision's do. The network is frozen, where the book leaves it trainable: nobody uses its
gradients, and they take half the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from skimage import data
from torch import Tensor, nn
from torchvision import transforms

from impasto_server.nst.weights import read_convolutions

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
CONTENT_LAYER, STYLE_LAYERS = 25, (0, 5, 10, 19, 28)
_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
"""Where torchvision's `features` keeps them."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A step: the weighted losses before it, and the picture after it, uint8 (height, width, 3)."""

    content: float
    style: float
    tv: float
    picture: NDArray[np.uint8]


def painted(content: Path, style: Path, weights: Path, height: int, width: int) -> Iterator[Seen]:
    """The book's training, step by step without end."""
    net = _network(weights)
    content_x, style_x = (preprocessed(path, height, width) for path in (content, style))
    content_target = _extract(net, content_x)[0].detach()
    style_targets = [_gram(maps).detach() for maps in _extract(net, style_x)[1]]
    x = nn.Parameter(content_x.clone())
    trainer = torch.optim.Adam([x], lr=0.3)
    schedule = torch.optim.lr_scheduler.StepLR(trainer, 50, 0.8)
    while True:
        trainer.zero_grad()
        content_y, styles_y = _extract(net, x)
        content_loss = torch.square(content_y - content_target).mean() * 1
        pairs = zip(styles_y, style_targets, strict=True)
        style_losses = [torch.square(_gram(maps) - target).mean() * 1e4 for maps, target in pairs]
        vertical = torch.abs(x[:, :, 1:, :] - x[:, :, :-1, :]).mean()
        horizontal = torch.abs(x[:, :, :, 1:] - x[:, :, :, :-1]).mean()
        tv_loss = 0.5 * (vertical + horizontal) * 10
        loss = sum([*style_losses, content_loss, tv_loss])
        assert isinstance(loss, Tensor)
        loss.backward()  # type: ignore[no-untyped-call]
        trainer.step()
        schedule.step()
        losses = content_loss.item(), sum(each.item() for each in style_losses), tv_loss.item()
        yield Seen(*losses, postprocessed(x))


def files(folder: Path) -> tuple[Path, Path, Path]:
    """Content and style as JPEGs of CC0 photos, and weights by torchvision's names."""
    content, style, weights = (folder / name for name in ("content.jpg", "style.jpg", "vgg19.pth"))
    Image.fromarray(data.coffee()).save(content, quality=92)
    Image.fromarray(data.chelsea()).save(style, quality=92)
    torch.save(_weights(), weights)
    return content, style, weights


def _weights() -> dict[str, Tensor]:
    """The original network with all activations divided by 100, so that they average 0.2 to 5.

    Trained, as nobody descends on random features: with them the book's own code comes, with its maps in another
    memory layout, to a picture only 40 dB from itself within five steps. In the range that the book's weights are meant
    for: undivided, the style loss would be 1e10. And not unit-mean, so that scaling shows.
    """
    state = {}
    for index, convolution in zip(_CONVOLUTIONS, read_convolutions("original").values(), strict=True):
        state[f"features.{index}.weight"] = convolution.weight / (100 if index == 0 else 1)
        state[f"features.{index}.bias"] = convolution.bias / 100
    return state


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """How near two pictures are, in dB; infinite if they are equal."""
    away = np.square(one.astype(float) - other.astype(float)).mean()
    return 10 * math.log10(255**2 / away) if away else math.inf


def preprocessed(path: Path, height: int, width: int) -> Tensor:
    """A file as the network takes it: resized by Pillow, bytes to bytes, then floats, (1, 3, height, width)."""
    steps = [transforms.Resize((height, width)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    with Image.open(path) as image:
        seen: Tensor = transforms.Compose(steps)(image)
    return seen.unsqueeze(0)


def postprocessed(x: Tensor) -> NDArray[np.uint8]:
    """A picture as the book shows it. torchvision's ToPILImage cuts fractions of a level off: it rounds down."""
    image = torch.clamp(x[0].detach().permute(1, 2, 0) * STD + MEAN, 0, 1)
    return np.asarray(transforms.ToPILImage()(image.permute(2, 0, 1)))


def _network(weights: Path) -> nn.Sequential:
    with torch.device("meta"):  # the classifier's 124 million weights are nobody's
        features = torchvision.models.vgg19(weights=None).features
    state = torch.load(weights, weights_only=True)
    own = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
    features.load_state_dict(own, assign=True)
    layers = features[: max(CONTENT_LAYER, *STYLE_LAYERS) + 1]
    assert isinstance(layers, nn.Sequential)
    return layers.requires_grad_(False)


def _extract(net: nn.Sequential, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    content, styles = x, []
    for index, layer in enumerate(net):
        x = layer(x)
        if index in STYLE_LAYERS:
            styles.append(x)
        if index == CONTENT_LAYER:
            content = x
    return content, styles


def _gram(x: Tensor) -> Tensor:
    channels, positions = x.shape[1], x.numel() // x.shape[1]
    rows = x.reshape((channels, positions))
    return torch.matmul(rows, rows.T) / (channels * positions)
