"""How measurements are kept: a row with its goal, a table on the terminal, JSON in build/bench/."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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


def at_most(what: str, value: float, limit: float, unit: str, note: str = "") -> Row:
    """A row whose goal is an upper bound."""
    return Row(what, value, unit, f"≤ {limit:g}", value <= limit, note)


def publish(name: str, rows: Sequence[Row]) -> None:
    """Prints the rows and writes build/bench/NAME.json."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    content = {"machine": machine, "rows": [asdict(row) for row in rows]}
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    width = max(len(row.what) for row in rows)
    print(f"\n{name}")
    for row in rows:
        verdict = {True: "met", False: "MISSED", None: ""}[row.met]
        print(f"  {row.what:{width}}  {row.value:10.4g} {row.unit:8} {row.goal:8} {verdict:7} {row.note}".rstrip())
