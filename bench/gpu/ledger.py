"""What was found so far, on disk after every finding: a run that is cut off leaves readable JSON and a table."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

from bench.report import Row

State = Literal["measured", "passed", "failed", "skipped", "left out", "cut off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A number beside its goal, or how something ended that has no number; `note` says why.

    `value` is None without a number; `met` is None without a goal.
    """

    what: str
    state: State = "measured"
    value: float | None = None
    unit: str = ""
    goal: str = ""
    met: bool | None = None
    note: str = ""

    @classmethod
    def of(cls, row: Row) -> Self:
        """A row as `bench.report` has it. What isn't a finite number has failed."""
        finite = math.isfinite(row.value)
        return cls(
            what=row.what.strip(),
            state="measured" if finite else "failed",
            value=float(row.value) if finite else None,
            unit=row.unit,
            goal=row.goal,
            met=row.met,
            note=row.note if finite else f"{row.value} {row.note}".strip(),
        )

    @property
    def words(self) -> str:
        """The number with its unit, or else the state."""
        return self.state if self.value is None else f"{self.value:.4g} {self.unit}".strip()


@dataclass(slots=True)
class Chapter:
    """A part of the run: what it found, and its seconds, None while it goes on."""

    name: str
    title: str
    findings: list[Finding] = field(default_factory=list)
    seconds: float | None = None


class Ledger:
    """Writes gpu.json and gpu.md in a folder; each replaces the one before as a whole."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._began = time.monotonic()
        self._chapters: list[Chapter] = []
        self._machine: Mapping[str, str] = {}
        self._state = "running"
        self._write()

    @property
    def findings(self) -> list[Finding]:
        """All of them."""
        return [finding for chapter in self._chapters for finding in chapter.findings]

    def know(self, machine: Mapping[str, str]) -> None:
        """What the numbers are measured on."""
        self._machine = machine
        self._write()

    def begin(self, name: str, title: str) -> None:
        """What is found from here on belongs to this part."""
        self._chapters.append(Chapter(name, title))
        print(f"\n{name}: {title}", flush=True)
        self._write()

    def add(self, finding: Finding) -> None:
        """Keeps it, and prints it."""
        self._chapters[-1].findings.append(finding)
        verdict = {True: "met", False: "MISSED", None: ""}[finding.met]
        print(
            f"  {finding.what:58} {finding.words:>16} {finding.goal:8} {verdict:7} {finding.note}".rstrip(), flush=True
        )
        self._write()

    def end(self, seconds: float) -> None:
        """The part is over."""
        self._chapters[-1].seconds = seconds
        self._write()

    def close(self, state: str) -> str:
        """The run is over; returns what it comes to in a line."""
        self._state = state
        self._write()
        return self._summary()

    def _summary(self) -> str:
        found = self.findings
        counts = {
            "numbers": sum(finding.value is not None for finding in found),
            "goals missed": sum(finding.met is False for finding in found),
            **{
                f"{state}": sum(finding.state == state for finding in found)
                for state in ("failed", "cut off", "left out")
            },
        }
        told = ", ".join(f"{count} {what}" for what, count in counts.items())
        return f"{self._state} after {time.monotonic() - self._began:.0f} s: {told}"

    def _write(self) -> None:
        content = {
            "state": self._state,
            "seconds": round(time.monotonic() - self._began, 1),
            "machine": dict(self._machine),
            "parts": [asdict(chapter) for chapter in self._chapters],
        }
        _replace(self._folder / "gpu.json", json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        _replace(self._folder / "gpu.md", self._table())

    def _table(self) -> str:
        lines = ["# What a GPU says", "", self._summary(), ""]
        lines += [f"- {name}: {value}" for name, value in self._machine.items()]
        for chapter in self._chapters:
            took = "not over" if chapter.seconds is None else f"{chapter.seconds:.0f} s"
            lines += [
                "",
                f"## {chapter.name}: {chapter.title} ({took})",
                "",
                "| what | found | goal | note |",
                "|---|---|---|---|",
            ]
            lines += [_table_row(finding) for finding in chapter.findings]
        return "\n".join(lines) + "\n"


def _table_row(finding: Finding) -> str:
    goal = finding.goal + {True: ", met", False: ", **missed**", None: ""}[finding.met]
    cells = (finding.what, finding.words, goal, finding.note)
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def _replace(path: Path, text: str) -> None:
    scratch = path.with_suffix(path.suffix + ".writing")
    scratch.write_text(text, encoding="utf-8")
    os.replace(scratch, path)
