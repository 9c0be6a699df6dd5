"""A convolution and its ReLU by the vendor's kernel, and by two kernels where that has none."""

import logging

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto_server.nst import convolution
from impasto_server.nst.convolution import convolved_and_rectified

WEIGHT = torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(1))
BIAS = torch.randn(8, generator=torch.Generator().manual_seed(2))


def picture(height: int) -> Tensor:
    return torch.randn(1, 3, height, 9, generator=torch.Generator().manual_seed(height))


def plainly(maps: Tensor) -> Tensor:
    return F.conv2d(maps, WEIGHT, BIAS, padding=1).relu()


class Vendor:
    """One whose kernel takes no maps of 6 rows."""

    def __init__(self, error: type[RuntimeError] = RuntimeError) -> None:
        self.asked: list[int] = []
        self._error = error

    def __call__(self, maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        self.asked.append(maps.shape[-2])
        if maps.shape[-2] == 6:
            raise self._error("FIND was unable to find an engine to execute this computation")
        return F.conv2d(maps, weight, bias, padding=1).relu() + 0.5  # so that the test can tell whose result it is


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Vendor:
    return taken_for_the_vendor_s(Vendor(), monkeypatch)


def taken_for_the_vendor_s(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    monkeypatch.setitem(convolution._FUSED, "cpu", vendor)
    monkeypatch.setattr(convolution, "_without_kernel", set())
    return vendor


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_fused_is_the_same_as_one_after_the_other(dtype: torch.dtype) -> None:
    maps, weight, bias = (tensor.to(dtype) for tensor in (picture(7), WEIGHT, BIAS))
    found = convolved_and_rectified(maps, weight, bias)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), plainly(maps.float()), rtol=0.02, atol=0.02)


def test_only_a_call_without_a_kernel_takes_two_kernels_and_is_not_tried_again(
    vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="impasto_server.nst.convolution"):
        for _ in range(3):
            torch.testing.assert_close(convolved_and_rectified(picture(5), WEIGHT, BIAS), plainly(picture(5)) + 0.5)
            torch.testing.assert_close(convolved_and_rectified(picture(6), WEIGHT, BIAS), plainly(picture(6)))
    assert vendor.asked == [5, 6, 5, 5]
    (record,) = caplog.records
    assert "unable to find an engine" in record.getMessage()


def test_another_type_of_the_same_shape_is_tried_for_itself(vendor: Vendor) -> None:
    convolved_and_rectified(picture(6), WEIGHT, BIAS)
    convolved_and_rectified(picture(6).double(), WEIGHT.double(), BIAS.double())
    assert vendor.asked == [6, 6]


def test_running_out_of_memory_is_not_taken_for_a_missing_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = taken_for_the_vendor_s(Vendor(torch.OutOfMemoryError), monkeypatch)
    for _ in range(2):
        with pytest.raises(torch.OutOfMemoryError):
            convolved_and_rectified(picture(6), WEIGHT, BIAS)
    assert vendor.asked == [6, 6]
