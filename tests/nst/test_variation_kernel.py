"""Total variation by our own kernel is the plain one. On a GPU it runs compiled, elsewhere in Triton's interpreter."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from impasto_server.nst import losses
from impasto_server.nst.shortcuts import Shortcuts

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton")


@pytest.mark.skipif(INTERPRETED or DEVICE.type == "cuda", reason="is what starts the interpreter's process")
def test_the_kernel_does_the_same_in_triton_s_interpreter() -> None:
    """In a process of its own: Triton decides when it is imported."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    run = subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout


@pytest.mark.skipif(not INTERPRETED and DEVICE.type == "cpu", reason="runs in the interpreter's process")
@pytest.mark.parametrize("sides", [(23, 37), (1, 9), (9, 1), (1, 1), (40, 64)])
def test_value_and_gradient_are_those_of_the_plain_one(sides: tuple[int, int]) -> None:
    picture = torch.randn(1, 3, *sides, generator=torch.Generator().manual_seed(1))
    picture[..., : sides[1] // 2] = 0.5  # neighbours that don't differ
    picture = picture.to(DEVICE)
    found, expected = torch.ones_like(picture), torch.ones_like(picture)
    weight = torch.tensor(2.5, device=DEVICE)
    value = losses.total_variation(picture, weight, found, Shortcuts(own_kernels=True))
    torch.testing.assert_close(value, losses.total_variation(picture, weight, expected))
    torch.testing.assert_close(found, expected)
