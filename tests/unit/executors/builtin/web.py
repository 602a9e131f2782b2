"""Servers on this machine for one test each, and a network that leads to them by made-up names."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from taskrunner.executors.work import EgressDenied

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

HEAD = b"\r\n\r\n"  # what a request's head ends with


@dataclass
class LoopbackNetwork:
    """Connects hosts that were added to servers of this machine; *asked* has every connection."""

    ports: dict[tuple[str, int], int] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        assert timeout_s > 0
        self.asked.append((host, port))
        if (host, port) not in self.ports:
            raise EgressDenied(f"the sandbox allows no connection to {host}:{port}")
        connection = socket.create_connection(("127.0.0.1", self.ports[host, port]), timeout_s)
        connection.settimeout(None)
        return connection


@dataclass
class Asked:
    """A request as a server saw it; names of headers in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    """What a server answers by path, `(status, headers, body)`; *asked* has every request."""

    pages: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # the client has gone
            self.close_connection = True

    def answer(self) -> None:
        site = self.server.site
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        site.asked.append(Asked(self.command, self.path, headers, body))
        status, more, content = site.pages.get(self.path, (404, {}, b"no such page"))
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        if "Transfer-Encoding" not in more and status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:  # noqa: ANN401 - theirs
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, site: Site, tls: ssl.SSLContext | None) -> None:
        self.site = site
        self._tls = tls
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._tls is not None:  # the handshake is left to the connection's own thread
            connection = self._tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - theirs
        """Say nothing: a client that does not trust this server ends its handshake."""


@contextmanager
def serving(site: Site, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve *site* and yield the port."""
    with _Server(site, tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def speaking(say: Callable[[socket.socket], None], after: bytes = HEAD) -> Iterator[int]:
    """Accept one connection, read until *after* was heard, and let *say* do the rest."""

    def body() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # nobody came
        with connection:
            connection.settimeout(30)
            heard = b""
            try:
                while after not in heard and (piece := connection.recv(65536)):
                    heard += piece
                say(connection)
            except OSError:
                pass  # the client has gone

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=body)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with socket.socket() as last:  # wakes who still waits for a connection
                last.connect_ex(listener.getsockname())
            thread.join()
