"""A small HTTP server that answers as a test scripts it, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

DOWN: Final = 503
IN_USE: Final = 409
# A body of JSON, or a status without a body.
Answer = dict[str, Any] | list[Any] | int


@dataclass
class Scripted:
    """The answers of the server below one path, and the requests that came there.

    *answers* has a list for each route, such as `PUT /release`. Its last answer is repeated; a
    route without a list is answered `{}`.
    """

    url: str
    answers: dict[str, list[Answer]]
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def bodies(self, route: str) -> list[Any]:
        """Return the bodies that were sent to *route*, in order."""
        return [body for asked, body in self.asked if asked == route]

    def answer(self, route: str, body: Any) -> Answer:  # noqa: ANN401 - any JSON
        """Remember a request, and return its answer."""
        self.asked.append((route, body))
        left = self.answers.get(route, [{}])
        return left.pop(0) if len(left) > 1 else left[0]


@dataclass
class ScriptedServer:
    """A running server with any number of scripts, each below a path of its own."""

    host: str
    _scripts: list[Scripted] = field(default_factory=list)

    def script(self, answers: dict[str, list[Answer]]) -> Scripted:
        """Serve *answers* below a new path."""
        made = Scripted(f"http://{self.host}/{len(self._scripts)}", answers)
        self._scripts.append(made)
        return made

    def answer(self, method: str, path: str, body: Any) -> Answer:  # noqa: ANN401 - any JSON
        """Answer a request by the script below whose path it is."""
        _, number, rest = path.split("/", 2)
        return self._scripts[int(number)].answer(f"{method} /{rest}", body)


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    """Serve scripts on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def _answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = scripts.answer(self.command, self.path, json.loads(sent) if sent else None)
            status, body = (answer, {}) if isinstance(answer, int) else (200, answer)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        scripts = ScriptedServer(f"127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield scripts
        finally:
            server.shutdown()
            thread.join()
