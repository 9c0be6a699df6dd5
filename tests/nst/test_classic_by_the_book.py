"""Recipe `classic` against the textbook: in plain float64, written down once more, and by the book's own code."""

import itertools
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from impasto_server import nst, recipes
from impasto_server.nst.weights import read_convolutions
from tests import the_book

from .conftest import vgg_in

HEIGHT, WIDTH, STEPS, DECAY_EVERY = 64, 96, 20, 8
MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(1, 3, 1, 1)
LAYERS = ["1_1", "1_2", "P", "2_1", "2_2", "P", "3_1", "3_2", "3_3", "3_4", "P", "4_1", "4_2", "4_3", "4_4", "P", "5_1"]
RECTIFIED_STYLE = ("1_1", "2_1", "3_1", "4_1")


def unit_mean_weights() -> dict[str, tuple[Tensor, Tensor]]:
    means = json.loads((files("impasto_server.nst") / "unit_mean.json").read_text())["photographs"]
    weights, before = {}, 1.0
    for name, convolution in read_convolutions("original").items():
        mean = means[name]
        weights[name[4:]] = (convolution.weight.double() * before / mean, convolution.bias.double() / mean)
        before = mean
    return weights


def book_maps(picture: Tensor, weights: dict[str, tuple[Tensor, Tensor]]) -> tuple[Tensor, list[Tensor]]:
    """The content map and the five style maps that the book's code ends up comparing."""
    content, styles = picture, []
    for layer in LAYERS:
        if layer == "P":
            picture = F.max_pool2d(picture, 2, 2)
            continue
        picture = F.conv2d(picture, *weights[layer], padding=1)
        if layer == "5_1":
            return content, [*styles, picture]
        picture = torch.clamp(picture, min=0)
        if layer in RECTIFIED_STYLE:
            styles.append(picture)
        if layer == "4_4":
            content = picture
    raise AssertionError


def book_gram(maps: Tensor) -> Tensor:
    rows = maps.reshape(maps.shape[1], -1)
    return rows @ rows.T / rows.numel()


def book_losses(content: Tensor, style: Tensor) -> list[tuple[float, float, float]]:
    weights = unit_mean_weights()
    shape = (HEIGHT, WIDTH)
    content, style = (F.interpolate(i[None].double(), shape, mode="bilinear", antialias=True) for i in (content, style))
    content, style = (content - MEAN) / STD, (style - MEAN) / STD
    content_target = book_maps(content, weights)[0]
    style_targets = [book_gram(maps) for maps in book_maps(style, weights)[1]]
    x = content.clone().requires_grad_()
    adam = torch.optim.Adam([x], lr=0.3)
    schedule = torch.optim.lr_scheduler.StepLR(adam, DECAY_EVERY, 0.8)
    seen = []
    for _ in range(STEPS):
        adam.zero_grad()
        content_map, style_maps = book_maps(x, weights)
        content_loss = torch.mean((content_map - content_target) ** 2)
        pairs = zip(style_maps, style_targets, strict=True)
        style_loss = 1e4 * sum(torch.mean((book_gram(maps) - gram) ** 2) for maps, gram in pairs)
        vertical = torch.mean(torch.abs(x[:, :, 1:, :] - x[:, :, :-1, :]))
        horizontal = torch.mean(torch.abs(x[:, :, :, 1:] - x[:, :, :, :-1]))
        tv_loss = 10 * 0.5 * (vertical + horizontal)
        (content_loss + style_loss + tv_loss).backward()
        adam.step()
        schedule.step()
        seen.append((content_loss.item(), style_loss.item(), tv_loss.item()))
    return seen


@pytest.fixture(scope="module")
def book(content: Tensor, style: Tensor) -> list[tuple[float, float, float]]:
    return book_losses(content, style)


@pytest.mark.parametrize(
    ("dtype", "steps", "precision"),
    [
        (torch.float64, STEPS, 1e-9),
        # Adam divides by the gradient's size, so that float32's rounding grows from step to step.
        (torch.float32, 5, 1e-4),
        (torch.float32, STEPS, 2e-3),
    ],
)
def test_classic_is_the_textbook_to_the_digit(
    dtype: torch.dtype,
    steps: int,
    precision: float,
    vgg: nst.Vgg,
    content: Tensor,
    style: Tensor,
    book: list[tuple[float, float, float]],
) -> None:
    recipe = recipes.customise(
        "classic", {"height_px": HEIGHT, "width_px": WIDTH, "steps": steps, "decay_every_steps": DECAY_EVERY}
    )
    network = vgg if dtype == torch.float32 else vgg_in(dtype)
    run = nst.stylize(content.to(dtype), [(style.to(dtype), 1.0)], recipe, vgg=network)
    ours = [step.losses() for step in run]
    for step, (expected, losses) in enumerate(zip(book, ours, strict=False), start=1):
        assert (losses.content, losses.style, losses.tv) == pytest.approx(expected, rel=precision), f"step {step}"
        assert losses.total == pytest.approx(sum(expected), rel=precision)
    assert ours[-1].total < ours[0].total / 2


def test_classic_on_bytes_and_published_weights_is_the_book_s_own_code(tmp_path: Path) -> None:
    photo, painting, weights = the_book.files(tmp_path)
    size = {"height_px": 96, "width_px": 144}
    recipe = recipes.customise("classic", {**size, "steps": 5, "weights": f"file:{weights}"})
    network = nst.load_vgg(recipe.weights, torch.device("cpu"), unit_mean=recipe.unit_mean)
    run = nst.stylize(opened(photo), [(opened(painting), 1.0)], recipe, vgg=network)
    book = the_book.painted(photo, painting, weights, 96, 144)
    for step, seen in zip(run, itertools.islice(book, 5), strict=True):
        losses = step.losses()
        precision = 1e-5 if step.step == 1 else 1e-3
        assert (losses.content, losses.style, losses.tv) == pytest.approx(
            (seen.content, seen.style, seen.tv), rel=precision, abs=1e-6
        )
        assert the_book.psnr(step.image().numpy(), seen.picture) >= (60 if step.step == 1 else 45)


def opened(path: Path) -> Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)
