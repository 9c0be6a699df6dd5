"""Devices by name."""

import re

import pytest
import torch

from impasto_server import nst


def test_the_cpu_is_always_there_with_its_memory() -> None:
    cpu = nst.list_devices()[-1]
    assert cpu.name == "cpu"
    assert cpu.memory_bytes is None or cpu.memory_bytes > 2**28


def test_the_best_device_is_picked_unless_one_is_named() -> None:
    assert nst.pick_device() == torch.device(nst.list_devices()[0].name)
    assert nst.pick_device("cpu") == torch.device("cpu")


def test_a_missing_device_is_answered_with_those_there_are() -> None:
    found = ", ".join(device.name for device in nst.list_devices())
    with pytest.raises(nst.DeviceError, match=re.escape(f"cuda:99 is not there; found: {found}.")):
        nst.pick_device("cuda:99")
