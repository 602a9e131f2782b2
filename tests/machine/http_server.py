"""The engine's API over real HTTP, under a stage as API Gateway serves it.

A bearer token is the subject of its caller. The server makes the proxy event that API Gateway would
make: path parameters as they were sent, and the stage in the request context.
"""

from __future__ import annotations

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.machine.client import LambdaContext, api_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.machine.engine import Engine

STAGE = "/live"


@contextmanager
def serving(engine: Engine) -> Iterator[str]:
    """Serve the API of *engine* on this machine, and yield its base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            event = self._event()
            reply = engine.handler_of(self.command, event["resource"])(event, LambdaContext())
            content = reply["body"].encode()
            self.send_response(reply["statusCode"])
            for name, value in reply["headers"].items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _event(self) -> dict[str, Any]:
            url = urlsplit(self.path)
            path = url.path.removeprefix(STAGE)
            query = parse_qs(url.query, keep_blank_values=True)
            scheme, _, subject = self.headers.get("Authorization", "").partition(" ")
            client = engine.client(subject=subject if scheme == "Bearer" else "")
            headers = {**self.headers, "X-Forwarded-Proto": "http"}
            event = api_event(
                self.command,
                path,
                client,
                headers,
                {name: texts[-1] for name, texts in query.items()},
            )
            event["multiValueQueryStringParameters"] = query or None
            event["requestContext"]["path"] = url.path
            if length := int(self.headers.get("Content-Length", 0)):
                event["body"] = self.rfile.read(length).decode()
            return event

        def log_message(self, *_: object) -> None:
            """Keep the output of tests clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{STAGE}"
        finally:
            server.shutdown()
            thread.join()
