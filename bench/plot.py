"""One figure a measurement, readable at 900 pixels' width: its charts side by side, or its rows against their goals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from bench.report import Chart, Row

_WIDTH_IN, _DPI = 9.0, 150
_COLOURS = ("#1f4e79", "#c8553d", "#588b3b", "#8e6fa8", "#d9a441", "#4d4d4d")
_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
_STYLE: dict[Any, object] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "axes.titlesize": 11,
    "legend.frameon": False,
}


def draw(name: str, rows: Sequence[Row], charts: Sequence[Chart], path: Path) -> None:
    """Writes the figure as PNG."""
    goals = [row for row in rows if row.share is not None]
    with matplotlib.rc_context(_STYLE):
        height = 4.2 if charts else 1.4 + 0.45 * max(1, len(goals))
        figure = Figure(figsize=(_WIDTH_IN, height), dpi=_DPI, layout="constrained")
        figure.suptitle(name, x=0.01, ha="left", fontweight="bold")
        if charts:
            panels = figure.subplots(1, len(charts), squeeze=False)[0]
            for axes, chart in zip(panels, charts, strict=True):
                _chart(axes, chart)
        else:
            _goals(figure.subplots(), goals)
        figure.savefig(path)


def _chart(axes: Axes, chart: Chart) -> None:
    for number, line in enumerate(chart.lines):
        marker = "o" if len(line.x) <= 12 else ""
        axes.plot(line.x, line.y, label=line.label, color=_COLOURS[number % len(_COLOURS)], marker=marker, markersize=4)
    for label, level in chart.levels.items():
        axes.axhline(level, color="#888888", linestyle="--", linewidth=1)
        axes.annotate(
            label,
            (0.99, level),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=8,
            color="#555555",
        )
    places = [x for line in chart.lines for x in line.x]
    if chart.log_x:
        axes.set_xscale("log")
        _plain_ticks(axes.xaxis, places)
    elif len(set(places)) <= 12:
        axes.set_xticks(sorted(set(places)))
    if chart.log_y:
        axes.set_yscale("log")
        _plain_ticks(axes.yaxis, [*(y for line in chart.lines for y in line.y), *chart.levels.values()])
    else:
        axes.set_ylim(bottom=0)
    axes.set_title(chart.title, loc="left")
    axes.set_xlabel(chart.x)
    axes.set_ylabel(chart.y)
    if chart.lines:
        axes.legend(fontsize=9)


def _plain_ticks(axis: Axis, values: Sequence[float]) -> None:
    """Numbers as people write them on a logarithmic axis: what was measured where that is few, else round ones."""
    measured = sorted(set(values))
    if len(measured) <= 6 and all(value == round(value) for value in measured):
        axis.set_major_locator(FixedLocator(measured))
    else:
        narrow = max(values, default=1) < 5 * min(values, default=1)
        axis.set_major_locator(LogLocator(subs=(1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8) if narrow else (1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _goals(axes: Axes, rows: Sequence[Row]) -> None:
    """How much of its goal each row uses up; what ends left of the line has met it."""
    shares = [row.share or 0.0 for row in rows]
    places = range(len(rows))
    axes.barh(places, [min(share, 2.0) for share in shares], color=[_COLOURS[row.met is False] for row in rows])
    axes.axvline(1, color="#555555", linestyle="--", linewidth=1)
    for place, row, share in zip(places, rows, shares, strict=True):
        text = f"  {row.value:.3g} {row.unit}  (goal {row.goal})"
        axes.annotate(text, (min(max(share, 0), 2.0), place), va="center", fontsize=9, bbox=_PAPER)
    axes.set_yticks(places, [row.what.strip() for row in rows])
    axes.set_xlim(0, 3)
    axes.set_xticks([0, 0.5, 1, 1.5, 2])
    axes.set_xlabel("share of what the goal allows: 1 just meets it")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
