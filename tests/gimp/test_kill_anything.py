"""Anything is killed anywhere, at random moments: the image stays whole, the window can be used, no picture is lost.

IMPASTO_KILLS says how many times (8: each kind once), IMPASTO_KILLS_SEED which ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from impasto import Client, Job, JobState
from tests.gimp.conftest import REAL_HELPER
from tests.gimp.root import GimpRoot, complaints, measured, screen
from tests.gimp.test_kills import HELPER, PLUG_IN
from tests.helper.host import Host
from tests.server_process import ServerProcess
from tests.waiting import wait_until

KILLS = int(os.environ.get("IMPASTO_KILLS", "8"))
SEED = int(os.environ.get("IMPASTO_KILLS_SEED", "7"))
WAITS_S = 120.0
"""A bound against waiting for ever."""
USABLE_S = 0.3
EARLY_S, LATE_S = 0.4, 4.0
"""Half of the kills come while the job is asked for, the others while it is painted, or a little after."""
SELECTIONS = (
    "Gimp.Selection.none(image)",
    "image.select_rectangle(Gimp.ChannelOps.REPLACE, 20, 20, 120, 80)",
    "image.select_ellipse(Gimp.ChannelOps.REPLACE, 60, 30, 150, 100)",
)
MOVES = (*SELECTIONS, "layer.set_offsets(30, 20)", "layer.set_name('other')")


class Painter:
    """Somebody who paints in GIMP all day, and the one who kills."""

    def __init__(self, gimp: GimpRoot, server_folder: Path, display: str, seed: int) -> None:
        self.gimp = gimp
        self.chance = random.Random(seed)
        self.display = display
        self.server_folder = server_folder
        self.server = ServerProcess(server_folder)
        self.address = self.server.address
        self.process: subprocess.Popen[bytes] | None = None
        self.times = gimp.exchange / "times.jsonl"
        self.sessions = gimp.exchange / "sessions.jsonl"
        self.output = gimp.exchange / "output"
        self.counts: Counter[str] = Counter()
        self.moments: Counter[str] = Counter()
        self.longest_s = 0.0
        for path in (self.times, self.sessions, self.output):
            path.write_text("")
        (gimp.exchange / "enough").unlink(missing_ok=True)
        (gimp.exchange / "given.json").write_text("{}")

    # GIMP and the dialog in it.

    def start(self) -> None:
        """A GIMP, whose dialog has its gallery."""
        if self.process is None:
            command = self.gimp.command(
                *("gimp", "-n", "-s", "--batch-interpreter=python-fu-eval"),
                *("-b", 'import sys; sys.path.insert(0, "/t"); import kills', "--quit"),
                DISPLAY=self.display,
                IMPASTO_SERVER=self.address,
                IMPASTO_REHEARSAL=json.dumps([["shown", "obey"]]),
            )
            with self.output.open("ab") as output:
                self.process = subprocess.Popen(command, stdout=output, stderr=output)

    def happened(self, *events: str, since: int) -> str:
        """Waits until one of these has happened in the dialog after the first `since` things."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [one for one in self.events()[since:] if one in events]
            return bool(found)

        try:
            wait_until(look, WAITS_S)
        except AssertionError:
            raise AssertionError(f"none of {events}: {self.events()[since:]}\n{self.output.read_text()}") from None
        return found[0]

    def events(self) -> list[str]:
        """All that has happened."""
        return [json.loads(line)[0] for line in self.times.read_text().splitlines(keepends=True) if line[-1] == "\n"]

    def order(self, words: str) -> None:
        """Has something done in the dialog, which has to be alive for it."""
        obeyed = self.gimp.exchange / "obeyed"
        obeyed.unlink(missing_ok=True)
        half = self.gimp.exchange / "order.half"
        half.write_text(words)
        started = time.monotonic()
        half.replace(self.gimp.exchange / "order")
        wait_until(obeyed.exists, WAITS_S)
        self.longest_s = max(self.longest_s, time.monotonic() - started)
        assert obeyed.read_text() == "", f"{words}: {obeyed.read_text()}\n{self.output.read_text()}"

    def ended_sessions(self) -> list[dict[str, Any]]:
        """How dialogs ended."""
        return [json.loads(line) for line in self.sessions.read_text().splitlines()]

    def close(self) -> dict[str, Any]:
        """The painter closes the dialog; what became of the image."""
        before = len(self.ended_sessions())
        self.order("click Close")
        return self.session_after(before)

    def session_after(self, before: int) -> dict[str, Any]:
        wait_until(lambda: len(self.ended_sessions()) > before, WAITS_S)
        return self.ended_sessions()[before]

    # Kills.

    def kill(self, kind: str) -> None:
        """Begins to paint, and kills at a random moment."""
        self.counts[kind] += 1
        if self.process is None:
            since = len(self.events())
            self.start()
        else:
            # The last dialog of this GIMP, that is still open or is about to open.
            since = self.shown_since
        self.happened("gallery", since=since)
        self.shown_since = since
        self.order(f"do {self.chance.choice(SELECTIONS)}")
        self.order("set recipe draft")
        self.order(f"set steps {self.chance.randint(3, 120)}")
        self.order(f"set size {self.chance.choice((64, 96, 160))}")
        began = len(self.events())
        self.order("click Generate")
        time.sleep(self.chance.uniform(0, self.chance.choice((EARLY_S, LATE_S))))
        self.moments[moment(self.events()[began:])] += 1
        deeds: dict[str, Callable[[int], None]] = {
            "helper killed": self._kill_helper,
            "helper stopped": self._stop_helper,
            "server": self._kill_server,
            "plug-in": self._kill_plug_in,
            "GIMP": self._kill_gimp,
            "image closed": self._close_image,
            "layer deleted": self._delete_layer,
            "selection changed": self._change,
        }
        deeds[kind](began)

    def _helpers(self) -> list[int]:
        return self.gimp.processes(HELPER)

    def _kill_helper(self, began: int) -> None:
        for pid in self._helpers():
            os.kill(pid, signal.SIGKILL)
        self.happened("lost", since=began)
        self.happened("painted", "rest", since=began)
        self._start_again()

    def _stop_helper(self, began: int) -> None:
        stopped = self._helpers()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        if not {"painted", "rest"} & set(self.events()[began:]) and self.chance.random() < 0.5:
            self.happened("lost", "painted", since=began)
        with contextlib.suppress(AssertionError):
            # It may be over by now, and the button insensitive.
            self.order("click Cancel painting")
        self.happened("painted", "rest", since=began)
        if "lost" in self.events()[began:]:
            self._start_again()
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _start_again(self) -> None:
        since = len(self.events())
        self.order("click Start it again")
        self.happened("gallery", since=since)

    def _kill_server(self, began: int) -> None:
        self.server.process.send_signal(signal.SIGKILL)
        self.server.wait()
        self.server.__exit__()
        time.sleep(self.chance.uniform(0, 2))
        self.server = ServerProcess(self.server_folder, listen=self.address)
        self.happened("painted", "rest", since=began)

    def _kill_plug_in(self, _began: int) -> None:
        before, self.shown_since = len(self.ended_sessions()), len(self.events())
        helpers = self._helpers()
        for pid in self.gimp.processes(PLUG_IN):
            os.kill(pid, signal.SIGKILL)
        self.check(self.session_after(before), "execution-error", "calling-error")
        wait_until(lambda: not set(helpers) & set(self._helpers()), 30)

    def _kill_gimp(self, _began: int) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()
        self.process = None
        wait_until(lambda: not self.gimp.processes(PLUG_IN) and not self._helpers(), 30)

    def _close_image(self, began: int) -> None:
        if is_last := self.chance.random() < 0.5:
            self.order("do Gimp.Display.delete(Gimp.default_display())")
        else:
            self.order("do Gimp.Display.new(image.duplicate()); Gimp.Display.delete(Gimp.default_display())")
        painted = self.happened("painted", "rest", since=began) == "painted"
        session = self._closed()
        if painted and not is_last:
            assert len(session["images"]) >= 1, session
        self.check(session, "success", "cancel")

    def _delete_layer(self, began: int) -> None:
        self.order("do image.remove_layer(layer)")
        painted = self.happened("painted", "rest", since=began) == "painted"
        session = self._closed()
        assert len(session["layers"]) >= painted, session
        self.check(session, "success", "cancel")

    def _closed(self) -> dict[str, Any]:
        self.shown_since = len(self.events())
        return self.close()

    def _change(self, began: int) -> None:
        self.order(f"do {self.chance.choice(MOVES)}")
        assert self.happened("painted", "rest", since=began) == "painted"

    def check(self, session: dict[str, Any], *statuses: str) -> None:
        """The image is whole: the layer to the last bit, everything else a finished painting."""
        assert session["status"] in statuses, session
        assert session["source"] is not False, session
        for layer in session["layers"]:
            assert layer["size"] == [240, 160], session

    # The end.

    def end(self) -> None:
        """Closes the dialog, and GIMP by itself."""
        if self.process is not None:
            self.happened("gallery", since=self.shown_since)
            (self.gimp.exchange / "enough").touch()
            self.check(self.close(), "success", "cancel")
            assert self.process.wait(WAITS_S) == 0
            self.process = None

    def let_go(self) -> None:
        """Whatever still runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.server.__exit__()


def moment(events: list[str]) -> str:
    """Where a painting stood."""
    stages = ("connecting", "uploading", "job", "waiting", "starting", "fetching", "painted")
    known = [event for event in events if event in stages or event.startswith("step ")]
    return known[-1].partition(" ")[0] if known else "asked"


@pytest.fixture
def painter_and_killer(gimp: GimpRoot, tmp_path: Path) -> Iterator[Painter]:
    gimp.use_helper(*REAL_HELPER)
    gimp.forget_settings()
    with screen() as display:
        painter = Painter(gimp, tmp_path, display, SEED)
        try:
            yield painter
        finally:
            painter.let_go()


@pytest.mark.timeout(120 + 60 * KILLS)
def test_kill_anything_anywhere(gimp: GimpRoot, painter_and_killer: Painter) -> None:
    painter = painter_and_killer
    kinds = ["helper killed", "helper stopped", "server", "plug-in", "GIMP", "image closed", "layer deleted"]
    kinds += ["selection changed"]
    rounds = (kinds * (KILLS // len(kinds) + 1))[:KILLS]
    painter.chance.shuffle(rounds)
    for kind in rounds:
        painter.kill(kind)
    painter.end()
    gimp.complaints += complaints(painter.output.read_text(errors="replace"))
    found = every_picture_is_found(painter)
    print(f"{dict(painter.counts)} at {dict(painter.moments)}: {found} pictures found")
    measured(f"{KILLS} kills: longest time until the window did what it was told", painter.longest_s, USABLE_S)


def every_picture_is_found(painter: Painter) -> int:
    """Each job that the server has made comes to its end, is in Recover's list, and can be fetched; how many."""
    with Client(painter.address) as client, Host(IMPASTO_SERVER=painter.address) as host:
        jobs: list[Job] = list(client.jobs())
        for job in jobs:
            wait_until(lambda job=job: job.refresh().state.ended, WAITS_S)  # type: ignore[misc]
            assert job.state in (JobState.SUCCEEDED, JobState.CANCELLED), job
        finished = {job.name for job in jobs if job.state is JobState.SUCCEEDED}
        host.ask(1, "jobs", page_size=1000)
        head, _ = host.end("jobs", "failed")
        assert finished <= {job["name"] for job in head["jobs"]}
        for name in finished:
            host.ask(2, "fetch", job=name)
            head, parts = host.end("done", "failed")
            assert head["event"] == "done", head
            assert len(parts["pixels"]) == head["width"] * head["height"] * 4
    assert len(finished) >= painter.events().count("painted")
    return len(finished)
