"""A host's session: its frames in, answers out, each request in a thread of its own, until the host closes or dies."""

import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from impasto._config import choose_server
from impasto._exceptions import ImpastoError, ParameterError
from impasto._helper._answers import Answers
from impasto._helper._control import AbandonedError, Control
from impasto._helper._fields import number, read_names, text
from impasto._helper._finished import PAGE_SIZE, fetch_job, list_jobs, watch_job
from impasto._helper._frames import Frame, FrameError, FrameReader, FrameWriter, HostGoneError
from impasto._helper._painting import paint
from impasto._helper._requests import LARGEST_PREVIEW_PX, read_depth, read_paint_request, read_sliders
from impasto._helper._sentences import explain
from impasto._helper._servers import Servers, describe_server
from impasto._helper._thumbnails import send_thumbnails
from impasto._version import __version__

PROTOCOL = 3
"""Grows with everything that a host may want to rely on."""
SETTLES_FOR_S = 5.0
"""So long the helper outlives its host, if a server hasn't yet heard of a cancel."""


def serve_host() -> NoReturn:
    """Serves the host at the other end of stdin and stdout. Ends the process; jobs go on."""
    answers = os.dup(1)
    # Whatever prints by mistake, in any library, must not end up between two frames.
    os.dup2(2, 1)
    reader, session = FrameReader(0), Session(FrameWriter(answers))
    code = 0
    try:
        while (frame := reader.read()) is not None:
            session.take(frame)
    except FrameError as error:
        with contextlib.suppress(HostGoneError):
            session.writer.write({"event": "failed", "kind": "FrameError", "sentence": str(error), "details": ""})
        code = 2
    except HostGoneError:
        pass
    session.settle()
    # Not sys.exit: it would wait for threads that wait for a server.
    os._exit(code)


class Session:
    """What one host has asked for so far."""

    def __init__(self, writer: FrameWriter) -> None:
        self.writer = writer
        self._servers = Servers()
        self._controls: dict[Any, Control] = {}

    def take(self, frame: Frame) -> None:
        """Starts on one request and returns at once; what is about a painting finds it from here on.

        Raises HostGoneError.
        """
        head = frame.head
        answers = Answers(self.writer, head.get("id"))
        match head.get("ask"):
            case "hello":
                # Here and now: it is the sign of life, and whoever wants no more may have closed already.
                answers.tell("hello", protocol=PROTOCOL, version=__version__, **configured_server())
            case "cancel":
                self._guard(lambda: self._cancel(head), answers)
            case "steer":
                self._guard(lambda: self._steer(head, answers), answers)
            case "paint" | "watch" | "fetch":
                self._guard(lambda: self._begin(frame, answers), answers)
            case _:
                self._start(lambda: self._answer(frame, answers), answers)

    def settle(self) -> None:
        """Waits a moment for cancels that a server has still to hear of."""
        deadline = time.monotonic() + SETTLES_FOR_S
        for control in list(self._controls.values()):
            control.settle(max(0.0, deadline - time.monotonic()))

    def _begin(self, frame: Frame, answers: Answers) -> None:
        request_id = frame.head.get("id")
        control = self._controls[request_id] = Control(answers, read_sliders(frame.head))
        if frame.head["ask"] == "watch":  # its job is there already
            control.begin()

        def follow() -> None:
            # All that takes time is done here, the reading of a large frame's pictures too.
            try:
                self._follow(frame, answers, control)
            finally:
                # A server may still have to hear of a cancel; a host may have begun something else under this id.
                if not control.cancelled and self._controls.get(request_id) is control:
                    del self._controls[request_id]

        self._start(follow, answers, control)

    def _cancel(self, head: Mapping[str, Any]) -> None:
        if control := self._named_control(head):
            control.cancel()

    def _steer(self, head: Mapping[str, Any], answers: Answers) -> None:
        if control := self._named_control(head):
            control.move(read_sliders(head))  # in the order of asking
            self._start(control.steer, answers)

    def _follow(self, frame: Frame, answers: Answers, control: Control) -> None:
        head = frame.head
        server = self._servers.named(text(head, "server"))
        match head["ask"]:
            case "paint":
                paint(server, read_paint_request(frame), answers, control)
            case "watch":
                preview_px = int(number(head, "preview_px", 0, 0, LARGEST_PREVIEW_PX))
                watch_job(server, read_job(head), read_fit(head), read_depth(head), preview_px, answers, control)
            case _:
                fetch_job(server, text(head, "job"), read_fit(head), read_depth(head), answers, control)

    def _answer(self, frame: Frame, answers: Answers) -> None:
        head = frame.head
        match head.get("ask"):
            case "server":
                answer = describe_server(self._servers.named(text(head, "server")))
                self._servers.keep_invitation(text(head, "server"))
                answers.tell("server", **answer)
            case "thumbnails":
                size_px = int(number(head, "size_px", 96, 16, 1024))
                server = self._servers.named(text(head, "server"))
                send_thumbnails(server, read_names(head, "jobs"), size_px, answers)
            case "jobs":
                page_size = int(number(head, "page_size", PAGE_SIZE, 1, 1000))
                list_jobs(self._servers.named(text(head, "server")), page_size, text(head, "page_token"), answers)
            case "keep":
                if control := self._named_control(head):
                    control.keep()
            case other:
                raise ParameterError(f"This helper (protocol {PROTOCOL}) does not know the request {other!r}.")

    def _named_control(self, head: Mapping[str, Any]) -> Control | None:
        """That of the painting a request is about; None if it has ended, which is no mistake of the host's."""
        return self._controls.get(head.get("painting"))

    def _start(self, work: Callable[[], None], answers: Answers, control: Control | None = None) -> None:
        threading.Thread(target=self._guard, args=(work, answers, control), daemon=True).start()

    def _guard(self, work: Callable[[], None], answers: Answers, control: Control | None = None) -> None:
        """Does the work; what goes wrong is the host's answer."""
        try:
            try:
                work()
            except ImpastoError as error:
                told = explain(error)
                if control:
                    told["job"] = control.job_name
                answers.tell("failed", **told)
            except (AbandonedError, HostGoneError):
                raise
            except Exception as error:  # a bug of ours must not look like silence
                print(f"impasto helper: {error!r}", file=sys.stderr)  # noqa: T201
                kind, details = type(error).__name__, traceback.format_exc()
                answers.tell("failed", sentence="Impasto's helper stumbled.", details=details, kind=kind)
        except (AbandonedError, HostGoneError):
            # Nobody waits for it; if the host is gone, stdin's end is on its way.
            pass


def configured_server() -> dict[str, Any]:
    """`default_server` of `hello`; what is wrong with a configuration is said beside it."""
    try:
        return {"default_server": choose_server().address}
    except ImpastoError as error:
        told = explain(error)
        said = {"sentence": told["sentence"], "details": told["details"]}
        return {"default_server": "", "configuration_error": said}


def read_fit(head: Mapping[str, Any]) -> tuple[int, int] | None:
    """The size that a fetched picture should have."""
    width, height = (int(number(head, name, 0, 0, 1 << 20)) for name in ("fit_width", "fit_height"))
    return (width, height) if width and height else None


def read_job(head: Mapping[str, Any]) -> str:
    """The job that is to be watched. Raises ParameterError."""
    if name := text(head, "job"):
        return name
    raise ParameterError("Which job is to be watched was not said: `job` is empty.")
