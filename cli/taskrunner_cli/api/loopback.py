"""Receives a person's browser on this machine, after the issuer has sent it back."""

from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Final

from taskrunner_cli.errors import CommandError, UsageError

_PAGE: Final = (
    b"<!doctype html><html lang=en><meta charset=utf-8><title>TaskRunner</title>"
    b"<p>%b You can close this window and return to the terminal.</html>"
)
_HOST: Final = "127.0.0.1"
_SLICE_S: Final = 0.5


class Loopback:
    """A server on the first free one of *ports*, for the one request that ends a sign-in.

    Raises:
        UsageError: every port is taken.

    """

    def __init__(self, ports: Iterable[int]) -> None:
        self._addresses: list[str] = []
        self._failures: list[CommandError] = []
        self._accept: Callable[[str], str] = lambda address: address
        self._server = self._bind(list(ports))
        self._server.timeout = _SLICE_S

    @property
    def port(self) -> int:
        """The port on which the browser is awaited."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Free the port."""
        self._server.server_close()

    def wait(self, accept: Callable[[str], str], seconds: float) -> str:
        """Return what *accept* makes of the address with which the browser comes back.

        A request that *accept* rejects as one of another sign-in is answered and not counted.

        Raises:
            CommandError: nobody came within *seconds*, or the issuer refused.

        """
        self._accept = accept
        for _ in range(max(int(seconds / _SLICE_S), 1)):
            self._server.handle_request()
            if self._failures:
                raise self._failures[0]
            if self._addresses:
                return self._addresses[0]
        raise CommandError(
            f"nobody signed in within {seconds:.0f} seconds",
            cure="run the command again; without a browser here, add --no-browser",
            code="not_signed_in",
        )

    def _bind(self, ports: list[int]) -> HTTPServer:
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5  # a connection without a request must not hold up the next one

            def do_GET(self) -> None:
                status, words = loopback.receive(self.path)
                self.send_response(status)
                for name, value in {
                    "Content-Type": "text/html; charset=utf-8",
                    "Cache-Control": "no-store",
                    "Referrer-Policy": "no-referrer",
                    "Content-Security-Policy": "default-src 'none'",
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(_PAGE % words)

            def log_message(self, *_: object) -> None:
                """Print nothing: the address has the code."""

        for port in ports:
            try:
                return HTTPServer((_HOST, port), Handler)
            except OSError:
                continue
        raise UsageError(
            f"the ports {', '.join(map(str, ports))} of this machine are taken",
            cure="free one of them, or add --no-browser",
        )

    def receive(self, address: str) -> tuple[int, bytes]:
        """Take the browser's request, and return the answer's status and words."""
        try:
            self._addresses.append(self._accept(address))
        except UsageError:
            return 400, b"This is not the sign-in that the terminal waits for."
        except CommandError as error:
            self._failures.append(error)
            return 403, b"The sign-in was refused."
        return 200, b"You are signed in."
