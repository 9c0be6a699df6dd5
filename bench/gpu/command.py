"""The command: part after part within nine minutes, in processes that may die, everything on disk as it is found.

Correctness comes first. A part has the seconds that it is given at most, and no more than its least if the later ones
would lack theirs; what doesn't fit any more is written down as left out. A part that fails, hangs or takes the
device with it costs only itself: the next one gets a new process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from bench.gpu.ledger import Finding, Ledger
from bench.gpu.plan import PLAN, Planned
from bench.report import FOLDER

SECONDS = 535.0
"""Of nine minutes; the rest is for starting and ending."""


class NoDevice(Exception):
    """The device isn't there; the text says what is."""


def main(arguments: list[str]) -> int:
    """0 if anything was measured."""
    began = time.monotonic()
    options = _options(arguments)
    ledger = Ledger(options.out)
    with (options.out / "gpu.log").open("w", encoding="utf-8") as log:
        sizes = "SMOKE" if options.smoke else "FULL"
        command = [sys.executable, "-m", "bench.gpu.child", options.device, sizes, str(options.out)]
        child = Child(command, log)
        try:
            _measure(ledger, child, [part for part in PLAN if part.name in options.parts], began + options.seconds)
        except NoDevice as error:
            print(f"{error}; --smoke --device cpu sees that everything runs", file=sys.stderr)
            ledger.close("refused")
            return 1
        finally:
            child.end()
    print(f"\n{ledger.close('complete')}", flush=True)
    return 0 if any(finding.value is not None for finding in ledger.findings) else 1


def _measure(ledger: Ledger, child: Child, parts: list[Planned], deadline: float) -> None:
    for number, part in enumerate(parts):
        left = deadline - time.monotonic()
        later_s = sum(later.least_s for later in parts[number + 1 :])
        seconds = min(part.most_s, max(part.least_s, left - later_s))
        ledger.begin(part.name, part.title)
        began = time.monotonic()
        if left < part.least_s:
            note = f"no time: {max(0.0, left):.0f} s are left, and it takes {part.least_s:g} s"
            ledger.add(Finding(what=part.name, state="left out", note=note))
        else:
            for message in child.measure(part, seconds):
                if "machine" in message:
                    ledger.know(message["machine"])
                else:
                    ledger.add(Finding(**message["finding"]))
        ledger.end(time.monotonic() - began)


class Child:
    """The process that measures, started again whenever the one before has ended."""

    def __init__(self, command: Sequence[str], log: IO[str]) -> None:
        self._command = command
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[dict[str, object] | None] = queue.SimpleQueue()

    def measure(self, part: Planned, seconds: float) -> Iterator[Mapping[str, object]]:
        """What it answers until the part is over; at most so many seconds. Raises NoDevice."""
        until = time.monotonic() + seconds
        if part.fresh:
            self.end()
        process = self._running()
        assert process.stdin
        try:
            process.stdin.write(json.dumps({"part": part.name, "until": until}) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended already; its answers say why
        while True:
            try:
                answer = self._answers.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                self.end()
                yield _finding(part, "cut off", f"it was not over after {seconds:.0f} s")
                return
            if answer is None:
                code = process.wait()
                self.end()
                yield _finding(part, "failed", f"its process ended with {code}; gpu.log tells more")
                return
            if "refused" in answer:
                raise NoDevice(answer["refused"])
            if "ended" in answer:
                break
            yield answer

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        if self._process:
            self._process.kill()
            self._process.wait()
            assert self._process.stdin
            with contextlib.suppress(BrokenPipeError):  # what it had no time to read
                self._process.stdin.close()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
            )
            self._answers = answers = queue.SimpleQueue()

            def read_forever() -> None:
                assert process.stdout
                with process.stdout:
                    for line in process.stdout:
                        answers.put(json.loads(line))
                answers.put(None)

            threading.Thread(target=read_forever, name="answers", daemon=True).start()
        return self._process


def _finding(part: Planned, state: str, note: str) -> Mapping[str, object]:
    return {"finding": {"what": part.name, "state": state, "note": note}}


def _options(arguments: list[str]) -> argparse.Namespace:
    names = [part.name for part in PLAN]
    parser = argparse.ArgumentParser(prog="python -m bench gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER / "gpu", help="folder of gpu.json, gpu.md and gpu.log")
    parser.add_argument("--device", default="cuda:0", help="left out: cuda:0")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that everything runs")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"for everything; left out: {SECONDS:g}")
    parser.add_argument("--parts", default=",".join(names), help="some of them, by comma; left out: all")
    options = parser.parse_args(arguments)
    options.parts = options.parts.split(",")
    if unknown := [name for name in options.parts if name not in names]:
        parser.error(f"there is no part {', '.join(unknown)}; expected some of {', '.join(names)}")
    return options
