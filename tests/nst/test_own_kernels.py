"""Our own kernels do what torch's do. On a GPU they run compiled, elsewhere in Triton's interpreter."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton isn't there")

CASES = Path(__file__).with_name("own_kernels")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("cases", ["maps.py", "variation.py"])
def test_the_kernels_do_what_torch_s_do(cases: str) -> None:
    """In a process of its own: Triton decides when it is imported whether it compiles."""
    interpreting = {} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", str(CASES / cases)]
    run = subprocess.run(command, env=os.environ | interpreting, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout
    assert "skipped" not in run.stdout


@pytest.mark.parametrize(("capability", "element"), [(75, "fp16"), (90, "bf16")])
def test_the_kernels_compile_for_every_generation_of_gpus(
    capability: int, element: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter knows no types of registers, no shared memory and no generations."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from impasto_server.nst.kernels import maps

    pointers = ("whole", "result", "gradient", "maps", "matrix", "vector", "features", "target")
    for kernel, border in (
        (maps._clear_border, {}),
        (maps._replicate_border, {}),
        (maps._back_through_relu, {"border": 1}),
        (maps._back_through_relu_with_style, {"border": 1}),
        (maps._back_through_average_pooling, {"border": 1}),
        (maps._pull_to_target, {}),
    ):
        constants = {**border, "part": 64, "count": maps._POSITIONS}
        types = {name: f"*{element}" if name in pointers else "i32" for name in kernel.arg_names}
        types |= {name: "*fp32" for name in ("factor", "partial") if name in types}
        types |= dict.fromkeys(constants, "constexpr")
        source = ASTSource(fn=kernel, signature=types, constexprs=constants)
        assert "cubin" in triton.compile(source, target=GPUTarget("cuda", capability, 32)).asm
