"""A package index as small as can be, on loopback: what the light client needs, and trouble on demand."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tools.gimp.provision import REPOSITORY


def fill(folder: Path, wheel: Path, *options: str) -> None:
    """Downloads what the light client needs, and uv, from the index that this machine is configured for."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *options]
    command += ["--only-binary=:all:", "--constraint", str(REPOSITORY / "constraints.txt"), "--dest", str(folder)]
    subprocess.run([*command, str(wheel), "uv"], check=True)


class SmallIndex:
    """Serves a folder of wheels. `cut` and `hold` count down: that many requests for a name are broken off, or wait."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.cut: dict[str, int] = {}
        self.hold: dict[str, threading.Event] = {}
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.answer(self)

            def do_HEAD(self) -> None:
                index.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """The page with all links, or a file."""
        name = request.path.strip("/")
        if not name:
            body = "".join(f'<a href="{path.name}">{path.name}</a>\n' for path in self.folder.glob("*.whl")).encode()
        elif (path := self.folder / name).is_file():
            body = path.read_bytes()
        else:
            request.send_error(404)
            return
        project = name.split("-")[0]
        request.send_response(200)
        request.send_header("Content-Type", "text/html" if not name else "application/octet-stream")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command == "HEAD":
            return
        self.asked.append(project)
        if project in self.hold:
            self.hold[project].wait(60)
        if self.cut.get(project, 0):
            self.cut[project] -= 1
            body = body[: len(body) // 2]
            request.close_connection = True
        with contextlib.suppress(OSError):
            request.wfile.write(body)

    @property
    def environment(self) -> dict[str, str]:
        """For programs that shall ask nobody else, and once only."""
        return {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": self.address,
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_RETRIES": "0",
            "PIP_NO_CACHE_DIR": "1",
            "UV_HTTP_RETRIES": "0",
        }

    @contextlib.contextmanager
    def serving(self) -> Iterator[SmallIndex]:
        """Until the end of the block."""
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            for held in self.hold.values():
                held.set()
            self.server.shutdown()
            thread.join()
            self.server.server_close()
