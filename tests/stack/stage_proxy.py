"""A proxy between a worker and the local stack, which kills the worker at one of its requests.

Answers that lead the worker to the artifact store lead it through the proxy too.
"""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, NamedTuple, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType

    import psutil

    from tests.worker_process import WorkerProcess

_PATIENCE_S: Final = 120.0
_OF_ONE_CONNECTION: Final = frozenset({"connection", "content-length", "transfer-encoding", "host"})


class Request(NamedTuple):
    """A request of a worker."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """The name of the request: `lease`, `output` and so on."""
        if "/worker/leases" not in self.path:
            return {"GET": "fetch", "PUT": "upload"}.get(self.method, "other")
        verb = self.path.partition("?")[0].rpartition("/")[2]
        if verb == "heartbeat":
            return "output" if json.loads(self.body).get("output") else "heartbeat"
        return {"leases": "lease", "artifacts": "address"}.get(verb, verb)


class _Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class StageProxy:
    """Forwards requests to the address *target*, and kills *victim* at the first of *kind*.

    With *is_forwarded* the service has answered the request by then, and the answer is lost.
    """

    target: str
    kind: str
    is_forwarded: bool
    victim: WorkerProcess | None = None
    left: list[psutil.Process] = field(default_factory=list)
    """The processes below the victim when it was killed."""
    killed: threading.Event = field(default_factory=threading.Event)
    _stores: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The address of the proxy in place of the stack's."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request: Request) -> _Answer | None:
        """Return the service's answer, or None if the worker is dead, so that nobody reads it."""
        if self.killed.is_set():
            return None
        is_reached = request.kind == self.kind
        if is_reached and not self.is_forwarded:
            self.kill()
            return None
        answer = self._forward(request)
        if is_reached and answer.status == http.client.OK:  # 204: there is no job yet
            self.kill()
            return None
        return answer

    def kill(self) -> None:
        """Kill the worker, and remember the processes below it."""
        assert self.victim is not None
        self.left = self.victim.descendants()
        self.victim.kill()
        self.killed.set()

    def _forward(self, request: Request) -> _Answer:
        host = self._stores.get(request.path, urlsplit(self.target).netloc)
        connection = http.client.HTTPConnection(host, timeout=_PATIENCE_S)
        kept = {n: v for n, v in request.headers.items() if n.lower() not in _OF_ONE_CONNECTION}
        try:
            connection.request(request.method, request.path, request.body, kept)
            response = connection.getresponse()
            return _Answer(response.status, response.getheaders(), self._through(response.read()))
        finally:
            connection.close()

    def _through(self, body: bytes) -> bytes:
        """Return *body* with this proxy in the addresses of the artifact store."""
        try:
            document = json.loads(body)
        except ValueError:
            return body
        if not isinstance(document, dict):
            return body
        for place in (document, *document.get("artifacts", [])):
            if "url" in place:
                url = urlsplit(place["url"])
                self._stores[url._replace(scheme="", netloc="").geturl()] = url.netloc
                place["url"] = url._replace(netloc=urlsplit(self.url).netloc).geturl()
        return json.dumps(document).encode()


def _handler(proxy: StageProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size)
            with suppress(OSError):
                answer = proxy.answer(Request(self.command, self.path, dict(self.headers), body))
                if answer is None:
                    return
                self.send_response(answer.status)
                for name, value in answer.headers:
                    if name.lower() not in _OF_ONE_CONNECTION:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = answer  # noqa: N815 -- http.server's names

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    return Handler
