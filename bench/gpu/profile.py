"""The slowest kernels of a step by torch's profiler, and their number beside what `bench.trace` counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from bench import trace
from bench.gpu.ledger import Finding
from bench.gpu.setting import Setting, height_of, sized
from bench.gpu.speed import rate, warmed
from bench.report import Found, Row
from impasto_server.recipes import Recipe

STEPS = 5
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel: how often a step calls it, and its milliseconds of a step."""

    name: str
    calls: float
    milliseconds: float


def measure(setting: Setting) -> Iterator[Found | Finding]:
    """`painterly`, size by size."""
    for width_px in setting.sizes.profile_px:
        recipe = sized("painterly", height_of(width_px), width_px)
        yield from setting.case(f"{width_px} px", _profiled(setting, width_px, recipe))
        yield from setting.case(f"{width_px} px, by count", _counted(recipe))


def _profiled(setting: Setting, width_px: int, recipe: Recipe) -> Iterator[Row]:
    kernels = _kernels(setting, recipe)
    busy = sum(kernel.milliseconds for kernel in kernels)
    yield Row(f"{width_px} px, kernels a step", sum(kernel.calls for kernel in kernels), "")
    yield Row(f"{width_px} px, kernels' time a step", busy, "ms")
    step_ms = 1000 / rate(recipe, setting.trusted_vgg, setting.sizes).median
    yield Row(f"{width_px} px, a step", step_ms, "ms", note=f"kernels fill {busy / step_ms:.0%} of it; not profiled")
    for kernel in kernels[:SHOWN]:
        note = f"{kernel.calls:.4g} calls, {kernel.milliseconds / busy:.1%}"
        yield Row(f"{width_px} px: {kernel.name[:90]}", kernel.milliseconds, "ms", note=note)


def _counted(recipe: Recipe) -> Iterator[Row]:
    assert recipe.height_px and recipe.width_px
    cost = trace.count(recipe, recipe.height_px, recipe.width_px, trace.ALL_SHORTCUTS)
    yield Row(f"{recipe.width_px} px, kernels a step by count", cost.kernels, "", note="bench.trace, every shortcut")
    yield Row(f"{recipe.width_px} px, moved a step by count", cost.bytes_moved / 1e9, "GB")


def _kernels(setting: Setting, recipe: Recipe) -> list[Kernel]:
    """The slowest first. Steps are launched by Python: replayed ones have the same kernels but not always names."""
    cuda = setting.device.type == "cuda"
    vgg = setting.trusted_vgg
    run = warmed(recipe, replace(vgg, shortcuts=replace(vgg.shortcuts, recorded=False)))
    activity = ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU
    with profile(activities=[activity]) as profiler:
        run.advance(STEPS)
    where = DeviceType.CUDA if cuda else DeviceType.CPU
    found = []
    for event in profiler.key_averages():
        if event.device_type == where:
            microseconds = event.self_device_time_total if cuda else event.self_cpu_time_total
            found.append(Kernel(event.key, event.count / STEPS, microseconds / 1000 / STEPS))
    return sorted(found, key=lambda kernel: kernel.milliseconds, reverse=True)
