"""How measurements are kept: rows with their goals and charts; a table on the terminal, JSON and a plot in a folder."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

FOLDER = Path("build/bench")


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number beside its goal; `met` None where there is no goal."""

    what: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None
    note: str = ""
    share: float | None = None
    """How much of what the goal allows was used: 1 just meets it. None without a goal, or where the goal is 0."""


@dataclass(frozen=True, slots=True)
class Line:
    """One curve of a chart."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """One panel of a measurement's plot; `levels` are horizontal lines to compare with."""

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    levels: Mapping[str, float] = field(default_factory=dict)
    log_x: bool = False
    log_y: bool = False


Found = Row | Chart


def at_most(what: str, value: float, limit: float, unit: str, note: str = "") -> Row:
    """A row whose goal is an upper bound."""
    return Row(what, value, unit, f"≤ {limit:g}", value <= limit, note, value / limit if limit else None)


def at_least(what: str, value: float, limit: float, unit: str, note: str = "") -> Row:
    """A row whose goal is a lower bound."""
    return Row(what, value, unit, f"≥ {limit:g}", value >= limit, note, limit / value if value > 0 else None)


def publish(name: str, found: Iterable[Found], folder: Path = FOLDER) -> int:
    """Prints rows as they come and keeps NAME.json and NAME.png up to date; returns how many goals were missed.

    The plot shows the measurement's charts, or else each row's share of its goal.
    """
    from bench import plot  # matplotlib takes its time, and a row's other users need none

    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    charts: list[Chart] = []
    print(f"\n{name}")
    try:
        for each in found:
            if isinstance(each, Chart):
                charts.append(each)
            else:
                rows.append(each)
                print(_line(each), flush=True)
            content = {"machine": machine(), "rows": list(map(asdict, rows)), "charts": list(map(asdict, charts))}
            text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
            (folder / f"{name}.json").write_text(text, encoding="utf-8")
    finally:  # of a run that was cut short, what there was
        plot.draw(name, rows, charts, folder / f"{name}.png")
    return sum(row.met is False for row in rows)


def machine() -> Mapping[str, str]:
    """What the numbers were measured on."""
    import torch

    from impasto_server import nst

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.system(),
        "processor": _processor(),
        "devices": ", ".join(f"{device.name} ({device.description})" for device in nst.list_devices()),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _line(row: Row) -> str:
    verdict = {True: "met", False: "MISSED", None: ""}[row.met]
    return f"  {row.what:52}  {row.value:10.4g} {row.unit:9} {row.goal:8} {verdict:7} {row.note}".rstrip()


def _plain(value: object) -> object:
    """The same as JSON can carry it: what is not a finite number is none."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            return value
