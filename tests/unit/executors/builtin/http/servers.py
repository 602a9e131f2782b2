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

END_OF_HEAD = b"\r\n\r\n"


@dataclass
class LoopbackNetwork:
    """Connects the hosts in *ports* to servers here; *connections* lists what was asked for."""

    ports: dict[tuple[str, int], int] = field(default_factory=dict)
    connections: list[tuple[str, int]] = field(default_factory=list)

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        assert timeout_s > 0
        self.connections.append((host, port))
        if (host, port) not in self.ports:
            raise EgressDenied(f"the sandbox allows no connection to {host}:{port}")
        connection = socket.create_connection(("127.0.0.1", self.ports[host, port]), timeout_s)
        connection.settimeout(None)
        return connection


@dataclass
class ReceivedRequest:
    """A request as a server received it; names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    """The responses of a server by path, `(status, headers, body)`, and the *requests* it got."""

    pages: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    requests: list[ReceivedRequest] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # the client has closed the connection
            self.close_connection = True

    def answer(self) -> None:
        site = self.server.site
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        site.requests.append(ReceivedRequest(self.command, self.path, headers, body))
        status, response_headers, content = site.pages.get(self.path, (404, {}, b"no such page"))
        self.send_response(status)
        for name, value in response_headers.items():
            self.send_header(name, value)
        if "Transfer-Encoding" not in response_headers and status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:  # noqa: ANN401 - http.server's signature
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, site: Site, tls: ssl.SSLContext | None) -> None:
        self.site = site
        self._tls = tls
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._tls is not None:  # the handshake happens in the connection's own thread
            connection = self._tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as above
        """Print nothing: a client that does not trust this server breaks off the handshake."""


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
def raw_server(
    respond: Callable[[socket.socket], None], after: bytes = END_OF_HEAD
) -> Iterator[int]:
    """Accept one connection, read until *after*, call *respond* with it; yield the port."""

    def serve() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # nobody connected
        with connection:
            connection.settimeout(30)
            received = b""
            try:
                while after not in received and (block := connection.recv(65536)):
                    received += block
                respond(connection)
            except OSError:
                pass  # the client has closed the connection

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with socket.socket() as last:  # ends an accept() that still waits
                last.connect_ex(listener.getsockname())
            thread.join()
