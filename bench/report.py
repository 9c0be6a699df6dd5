"""How measurements are kept: a row with its goal, a table on the terminal, JSON in build/bench/."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
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


def publish(name: str, rows: Iterable[Row]) -> int:
    """Prints rows as they come, keeps build/bench/NAME.json up to date, returns how many goals were missed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    done: list[Row] = []
    print(f"\n{name}")
    for row in rows:
        done.append(row)
        content = {"machine": machine, "rows": [asdict(each) for each in done]}
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
        verdict = {True: "met", False: "MISSED", None: ""}[row.met]
        line = f"  {row.what:52}  {row.value:10.4g} {row.unit:8} {row.goal:8} {verdict:7} {row.note}"
        print(line.rstrip(), flush=True)
    return sum(row.met is False for row in done)
