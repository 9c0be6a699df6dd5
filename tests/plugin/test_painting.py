"""One painting under everything that a painter, a helper and a server can do: it ends once, and always can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from painting.painting import (  # type: ignore[import-not-found]
    CancelledByPainter,
    Failed,
    Finished,
    Painting,
    Phase,
    failure,
)

Head = dict[str, Any]


class ScriptedConnection:
    """A helper whose answers a test makes up, at any time, also after nobody waits for them."""

    def __init__(self) -> None:
        self.answered: dict[int, Callable[[Head, dict[str, bytes]], None]] = {}
        self.late: list[Callable[[Head, dict[str, bytes]], None]] = []
        self.told: list[str] = []

    def ask(self, question: str, answered: Any, parts: Any = None, **fields: Any) -> int:
        self.answered[7] = answered
        return 7

    def tell(self, question: str, **fields: Any) -> None:
        assert fields["painting"] == 7
        self.told.append(question)

    def forget(self, request_id: int) -> None:
        self.late.append(self.answered.pop(request_id))


class APainting(RuleBasedStateMachine):
    """A painting between a painter and a helper that do what they like."""

    @initialize()
    def begin(self) -> None:
        self.connection = ScriptedConnection()
        self.heard: list[str] = []
        self.outcomes: list[object] = []
        self.painting = Painting(self.connection, "paint", {"server": "here"}, {}, self.changed)

    def changed(self, head: Head, _parts: dict[str, bytes]) -> None:
        self.heard.append(head["event"])
        if self.painting.has_ended:
            self.outcomes.append(self.painting.outcome)

    def hear(self, **head: Any) -> None:
        # A late answer still finds its way in: GLib had it already.
        for answered in [*self.connection.answered.values(), *self.connection.late]:
            answered(head, {})

    @rule(stage=st.sampled_from(["connecting", "uploading", "waiting", "starting", "reconnecting", "fetching"]))
    def a_stage(self, stage: str) -> None:
        self.hear(event="stage", stage=stage)

    @rule()
    def a_job(self) -> None:
        self.hear(event="job", name="jobs/1", title="Night", server="there")

    @rule(step=st.integers(1, 100))
    def progress(self, step: int) -> None:
        self.hear(event="progress", step=step, steps=100)

    @rule()
    def done(self) -> None:
        self.hear(event="done", depth=8)

    @rule(kind=st.sampled_from(["ServerError", "HelperLost"]))
    def failed(self, kind: str) -> None:
        self.hear(event="failed", sentence="It broke.", kind=kind, details="a log")

    @rule()
    def cancelled_elsewhere(self) -> None:
        self.hear(event="cancelled")

    @rule()
    def steer(self) -> None:
        was_over, told = self.painting.has_ended, len(self.connection.told)
        self.painting.steer(strength=70)
        assert (len(self.connection.told) > told) is not was_over

    @rule()
    def keep(self) -> None:
        had_a_picture = self.painting.can_be_kept
        told = len(self.connection.told)
        self.painting.keep()
        assert (len(self.connection.told) > told) is had_a_picture
        assert not self.painting.can_be_kept

    @rule()
    def leave(self) -> None:
        self.painting.leave()
        assert self.painting.has_ended

    @precondition(lambda self: not self.painting.has_ended)
    @rule()
    def cancel(self) -> None:
        self.painting.cancel()
        assert self.connection.told[-1] == "cancel"
        assert isinstance(self.painting.outcome, CancelledByPainter), "cancelling has an end, whoever else is dead"

    @invariant()
    def it_ends_once(self) -> None:
        assert len(self.outcomes) == self.painting.has_ended
        assert self.painting.has_ended is (self.painting.outcome is not None)
        assert self.painting.has_ended is (self.painting.phase is Phase.ENDED)
        assert isinstance(self.painting.outcome, Finished | Failed | CancelledByPainter | None)


TestAPainting = APainting.TestCase
TestAPainting.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


def test_a_failure_says_where_the_picture_will_be_if_there_is_a_job() -> None:
    lost = {"sentence": "Impasto's helper stopped unexpectedly.", "kind": "HelperLost"}
    assert "Recover" in failure(lost, "jobs/1")
    assert "Recover" not in failure(lost, "")
    assert "Recover" not in failure({"sentence": "Wrong.", "kind": "ParameterError"}, "jobs/1")
