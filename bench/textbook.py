"""The textbook's style transfer as its reader would type it in: plain torch, nothing saved, nothing frozen.

Dive into Deep Learning, section 14.12, in our own words. The network's weights stay trainable, as the book leaves
them, so every step also computes gradients for 20 million weights that nobody uses; memory is contiguous. The ReLUs
work in place, as torchvision's do. Only the weights themselves differ: they are ours, unit-mean, the same for both
sides of a comparison. Its steps are made with torch's settings as torch comes: cuDNN's TensorFloat-32 among them,
which our own processes switch off.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from impasto_server import nst
from impasto_server.nst.pictures import normalised, resized
from impasto_server.recipes import CONVOLUTIONS, LAST_OF_BLOCK

CONTENT_LAYER = 25
STYLE_LAYERS = (0, 5, 10, 19, 28)
CONTENT_WEIGHT, STYLE_WEIGHT, TV_WEIGHT = 1.0, 1e4, 10.0
LEARNING_RATE, DECAY, DECAY_EVERY = 0.3, 0.8, 50


class Textbook:
    """One run of the book: a picture, its optimiser, and the objective that judges any other picture too."""

    def __init__(self, vgg: nst.Vgg, content: Tensor, style: Tensor, height: int, width: int) -> None:
        self.net = _features(vgg).to(vgg.device)
        content, style = (normalised(resized(image, height, width)).to(vgg.device) for image in (content, style))
        self.content_target = self._extract(content)[0].detach()
        self.style_targets = [_gram(maps).detach() for maps in self._extract(style)[1]]
        self.picture = nn.Parameter(content.clone())
        self.trainer = torch.optim.Adam([self.picture], lr=LEARNING_RATE)
        self.schedule = torch.optim.lr_scheduler.StepLR(self.trainer, DECAY_EVERY, DECAY)
        self.steps = 0

    def step(self) -> None:
        """One step of the book's training loop."""
        with as_torch_comes():
            self.trainer.zero_grad()
            self._loss(self.picture).backward()  # type: ignore[no-untyped-call]
            self.trainer.step()
        self.schedule.step()
        self.steps += 1

    @torch.no_grad()
    def value(self, picture: Tensor) -> float:
        """The objective's value of a normalised picture (1, 3, height, width), in float32 and nothing less."""
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return float(self._loss(picture.to(self.content_target)))

    def _loss(self, picture: Tensor) -> Tensor:
        content, styles = self._extract(picture)
        content_loss = torch.square(content - self.content_target).mean()
        pairs = zip(styles, self.style_targets, strict=True)
        style_loss = torch.stack([torch.square(_gram(maps) - target).mean() for maps, target in pairs]).sum()
        vertical = (picture[:, :, 1:, :] - picture[:, :, :-1, :]).abs().mean()
        horizontal = (picture[:, :, :, 1:] - picture[:, :, :, :-1]).abs().mean()
        return CONTENT_WEIGHT * content_loss + STYLE_WEIGHT * style_loss + TV_WEIGHT * 0.5 * (vertical + horizontal)

    def _extract(self, picture: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The content layer's maps and the style layers'; the ReLUs behind them rectify them in place afterwards."""
        content, styles = picture, []
        maps = picture
        for index, layer in enumerate(self.net):
            maps = layer(maps)
            if index in STYLE_LAYERS:
                styles.append(maps)
            if index == CONTENT_LAYER:
                content = maps
        return content, styles


def as_torch_comes() -> AbstractContextManager[None]:
    """cuDNN as its users find it: TensorFloat-32 allowed, kernels chosen by rule. `nst.set_up` decides otherwise."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=False, allow_tf32=True)


def _gram(maps: Tensor) -> Tensor:
    channels, positions = maps.shape[1], maps.numel() // maps.shape[1]
    rows = maps.reshape((channels, positions))
    return torch.matmul(rows, rows.T) / (channels * positions)


def _features(vgg: nst.Vgg) -> nn.Sequential:
    """torchvision's `features` up to the deepest layer that is read, with our weights."""
    layers: list[nn.Module] = []
    for name in CONVOLUTIONS:
        weight, bias = vgg.convolutions[name].weight, vgg.convolutions[name].bias
        convolution = nn.Conv2d(weight.shape[1], weight.shape[0], kernel_size=3, padding=1)
        convolution.weight = nn.Parameter(weight.detach().float().clone(memory_format=torch.contiguous_format))
        convolution.bias = nn.Parameter(bias.detach().float().clone())
        layers += [convolution, nn.ReLU(inplace=True)]
        if name in LAST_OF_BLOCK:
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return nn.Sequential(*layers[: max(CONTENT_LAYER, *STYLE_LAYERS) + 1])
