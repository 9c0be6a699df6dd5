"""What a host may do to a painting from any thread and in every stage: steer it, keep what there is, cancel it."""

import threading
import time
from collections.abc import Callable

from impasto._exceptions import ImpastoError, JobStateError, ServerUnavailableError
from impasto._helper._answers import Answers
from impasto._helper._requests import Sliders
from impasto._job import Job
from impasto._server_info import Recipe

CANCELS_FOR_S = 60.0
"""So long a server that doesn't answer is told again and again that a job is to be cancelled."""
RETRY_S = 1.0


class AbandonedError(Exception):
    """Nobody waits for what is being done any more."""


class Control:
    """One painting's. From `check` to `steerable` it is its own thread that calls; the rest comes from others."""

    def __init__(self, answers: Answers, sliders: Sliders | None = None) -> None:
        self._answers = answers
        self._lock = threading.Lock()
        self._updating = threading.Lock()
        self._sliders = sliders or Sliders()
        self._job: Job | None = None
        self._recipe: Recipe | None = None
        self._begun = False
        self._kept = False
        self._cancelled = threading.Event()
        self._delivered = threading.Event()
        self._calls: list[Callable[[], object]] = []

    @property
    def sliders(self) -> Sliders:
        """As they stand."""
        return self._sliders

    @property
    def cancelled(self) -> bool:
        """True once nobody waits any more."""
        return self._cancelled.is_set()

    @property
    def job_name(self) -> str:
        """The job's; empty while there is none."""
        return self._job.name if self._job else ""

    def check(self) -> None:
        """Raises AbandonedError once the host has cancelled."""
        if self._cancelled.is_set():
            raise AbandonedError

    def ends_with_it(self, let_go: Callable[[], object]) -> None:
        """A call that is to be let go of when the host cancels, at once if it has."""
        with self._lock:
            self._calls.append(let_go)
        if self._cancelled.is_set():
            let_go()

    def begin(self) -> None:
        """A job is there or about to be made: from here on a cancel is owed to the server. Raises AbandonedError."""
        with self._lock:
            self.check()
            self._begun = True

    def find(self, ask: Callable[[], Job]) -> Job:
        """The job that a server answers with, once nobody has cancelled it. Raises AbandonedError if somebody has.

        If no answer comes by then it is asked for on and on: what is to be cancelled has to be found.
        """
        try:
            job = ask()
        except ServerUnavailableError:
            if not self.cancelled:
                raise
        except ImpastoError:  # there is none, so that nothing is owed
            self._delivered.set()
            raise
        else:
            with self._lock:
                self._job = job
                is_owed = self._cancelled.is_set()
            if not is_owed:
                return job
        until_delivered(lambda: ask().cancel())
        self._delivered.set()
        raise AbandonedError

    def steerable(self, recipe: Recipe, sent: Sliders) -> None:
        """The job, asked for with these sliders, can be steered; what the host has said meanwhile is done."""
        with self._lock:
            self._recipe = recipe
            job, sliders, kept = self._job, self._sliders, self._kept
        if job is None:
            return
        if kept:
            job.cancel()
        elif sliders != sent:
            self._update(job, recipe)

    def move(self, sliders: Sliders) -> None:
        """The sliders stand elsewhere; `steer` tells the server."""
        with self._lock:
            self._sliders = sliders

    def steer(self) -> None:
        """Tells the server how the sliders stand, for its next step. After the end it changes nothing."""
        with self._lock:
            job, recipe = self._job, self._recipe
        if job is not None and recipe is not None:
            self._update(job, recipe)

    def keep(self) -> None:
        """Ends the job and takes its picture as the result; before there is one it is a cancel."""
        with self._lock:
            self._kept, begun, job = True, self._begun, self._job
        if job is not None:
            job.cancel()
        elif not begun:
            self.cancel()

    def cancel(self) -> None:
        """Answers at once; the server hears of it beside."""
        with self._lock:
            if self._cancelled.is_set():
                return
            self._cancelled.set()
            job, calls, self._calls = self._job, self._calls, []
        try:
            self._answers.tell("cancelled")
        finally:
            for let_go in calls:
                let_go()
            if job is not None:
                threading.Thread(target=self._deliver, args=(job,), daemon=True).start()

    def settle(self, timeout_s: float) -> None:
        """Waits until the server has heard of a cancel, if it has to."""
        if self._cancelled.is_set() and self._begun:
            self._delivered.wait(timeout_s)

    def _deliver(self, job: Job) -> None:
        until_delivered(job.cancel)
        self._delivered.set()

    def _update(self, job: Job, recipe: Recipe) -> None:
        # One at a time, each with the newest values: a slider that moves sends many, and the last has to win.
        with self._updating:
            sliders = self._sliders
            weights = sliders.weights(recipe.defaults)
            try:
                job.update(style_weight=weights["style_weight"], tv_weight=weights["tv_weight"])
            except JobStateError:
                return
        self._answers.tell("steered", strength=sliders.strength, smoothness=sliders.smoothness)


def until_delivered(tell: Callable[[], object]) -> None:
    """Tells a server something that it has to know, again while it doesn't answer, for a minute."""
    deadline = time.monotonic() + CANCELS_FOR_S
    while True:
        try:
            tell()
        except ServerUnavailableError:
            if time.monotonic() > deadline:
                return
            time.sleep(RETRY_S)
        except ImpastoError:  # the job is gone already
            return
        else:
            return
