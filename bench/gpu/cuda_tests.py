"""The tests that need a GPU, by pytest where it is there: each one's end as it comes."""

from __future__ import annotations

import importlib.util
import os
import queue
import threading
from collections.abc import Iterator
from typing import Any

from bench.gpu.ledger import Finding, State
from bench.gpu.setting import Setting

FILE = "tests/nst/test_cuda.py"
# Neither the project's settings nor its fixtures: they ask for plug-ins and pictures that a bare machine lacks.
BARE = ("-c", os.devnull, "--rootdir", ".", "--noconftest", "-p", "no:cacheprovider")
ARGUMENTS = (*BARE, "-ra", "-k", "not rehearsed", FILE)


def measure(setting: Setting) -> Iterator[Finding]:
    """Passed, failed or skipped, and why."""
    if importlib.util.find_spec("pytest") is None:
        yield Finding(what=FILE, state="left out", note="not run: pytest isn't there")
        return
    import pytest

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    reports: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()

    def run() -> None:
        code = pytest.main(list(ARGUMENTS), plugins=[_Reporter(reports)])
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            reports.put(Finding(what=FILE, state="failed", note=f"pytest ended with {code!r}"))
        reports.put(None)

    threading.Thread(target=run, name="pytest", daemon=True).start()
    yield from iter(reports.get, None)


class _Reporter:
    """Tells of each test when it is over."""

    def __init__(self, reports: queue.SimpleQueue[Finding | None]) -> None:
        self._reports = reports

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when != "call" and report.passed:
            return
        state: State = "passed" if report.passed else "skipped" if report.skipped else "failed"
        seconds = f"{report.duration:.1f} s"
        why = {"passed": seconds, "skipped": str(report.longrepr[-1]) if report.skipped else ""}
        what = report.nodeid.rpartition("::")[2]
        self._reports.put(Finding(what=what, state=state, note=why.get(state) or _last_lines(report.longreprtext)))


def _last_lines(text: str) -> str:
    """What pytest marks as the error, and where it was."""
    marked = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    return " / ".join([*marked[:3], text.splitlines()[-1]]) if text else ""
