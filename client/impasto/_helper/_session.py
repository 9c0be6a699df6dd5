"""A host's session: its frames in, answers out, each request in a thread of its own, until the host closes or dies."""

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from impasto import _invitations
from impasto._client import Client
from impasto._config import choose_server, invitations_path
from impasto._exceptions import ImpastoError, ParameterError
from impasto._helper._frames import Frame, FrameError, FrameReader, FrameWriter
from impasto._helper._painting import Painting
from impasto._helper._questions import describe_server, fetch_job, list_jobs, send_thumbnails
from impasto._helper._requests import number, read_depth, read_names, read_paint_request, read_sliders, text
from impasto._version import __version__

PROTOCOL = 2
"""Grows with everything that a host may want to rely on."""


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
        with contextlib.suppress(OSError):
            session.writer.write({"event": "failed", "kind": "FrameError", "sentence": str(error)})
        code = 2
    # Not sys.exit: it would wait for threads that wait for a server.
    os._exit(code)


class Session:
    """What one host has asked for so far."""

    def __init__(self, writer: FrameWriter) -> None:
        self.writer = writer
        self._clients: dict[str, Client] = {}
        self._paintings: dict[Any, Painting] = {}
        self._lock = threading.Lock()

    def take(self, frame: Frame) -> None:
        """Starts on one request and returns at once. A painting can be steered from here on."""
        self._answer(frame, self._prepare)

    def _prepare(self, frame: Frame) -> None:
        work: Callable[[], None] = functools.partial(self._dispatch, frame)
        if frame.head.get("ask") == "paint":
            request_id = frame.head.get("id")
            tell = functools.partial(self._tell, request_id)
            painting = Painting(self._client(frame.head), read_paint_request(frame), tell)
            self._paintings[request_id] = painting
            work = painting.run
        elif frame.head.get("ask") == "hello":
            # At once: whoever only wants to know that we are here may have closed already.
            self._dispatch(frame)
            return
        threading.Thread(target=self._answer, args=(frame, lambda _: work()), daemon=True).start()

    def _answer(self, frame: Frame, work: Callable[[Frame], None]) -> None:
        request_id = frame.head.get("id")
        try:
            work(frame)
        except ImpastoError as error:
            painting = self._paintings.get(request_id)
            told = painting.explain(error) if painting else {"sentence": str(error), "kind": type(error).__name__}
            self._tell(request_id, "failed", **told)
        except OSError:
            # Nobody reads our answers: the host is gone, and stdin's end is on its way.
            os._exit(0)
        except Exception as error:  # a bug of ours must not look like silence
            print(f"impasto helper: {error!r}", file=sys.stderr)  # noqa: T201
            self._tell(request_id, "failed", sentence=f"The helper stumbled: {error!r}", kind=type(error).__name__)

    def _dispatch(self, frame: Frame) -> None:
        head = frame.head
        tell = functools.partial(self._tell, head.get("id"))
        match head.get("ask"):
            case "hello":
                tell("hello", protocol=PROTOCOL, version=__version__, default_server=choose_server().address)
            case "server":
                answer = describe_server(self._client(head))
                self._keep_invitation(text(head, "server"))
                tell("server", **answer)
            case "thumbnails":
                size_px = int(number(head, "size_px", 96, 16, 1024))
                send_thumbnails(self._client(head), read_names(head, "jobs"), size_px, tell)
            case "jobs":
                list_jobs(self._client(head), tell)
            case "fetch":
                fetch_job(self._client(head), text(head, "job"), read_fit(head), read_depth(head), tell)
            case "steer":
                if painting := self._named_painting(head):
                    painting.steer(read_sliders(head))
            case "keep" | "cancel" as how:
                if painting := self._named_painting(head):
                    painting.stop(how)
            case other:
                raise ParameterError(f"This helper (protocol {PROTOCOL}) does not know the request {other!r}.")

    def _named_painting(self, head: Mapping[str, Any]) -> Painting | None:
        """The painting a request is about; None if it has ended, which is no mistake of the host's."""
        return self._paintings.get(head.get("painting"))

    def _client(self, head: Mapping[str, Any]) -> Client:
        server = text(head, "server")
        with self._lock:
            if server not in self._clients:
                self._clients[server] = Client(server or None)
            return self._clients[server]

    def _keep_invitation(self, server: str) -> None:
        """What led to an answer is kept, so that the server's address is enough from here on."""
        if _invitations.is_invitation(server):
            invitation = _invitations.parse(server)
            _invitations.keep(invitations_path(), invitation)
            with self._lock:  # a client that tried the address alone knows nothing of it
                self._clients.pop(invitation.address, None)

    def _tell(self, request_id: Any, event: str, parts: Mapping[str, bytes] | None = None, **fields: Any) -> None:
        self.writer.write({"id": request_id, "event": event, **fields}, parts)


def read_fit(head: Mapping[str, Any]) -> tuple[int, int] | None:
    """The size that a fetched picture should have."""
    width, height = (int(number(head, name, 0, 0, 1 << 20)) for name in ("fit_width", "fit_height"))
    return (width, height) if width and height else None
