"""One HTTP/1.1 request and its response (RFC 9112) over a connection that the parent has made.

h11 reads and writes the protocol, and this module moves its bytes. Every read and write may take
what is left of one deadline, so a response that drips takes no longer than one that never comes.
"""
# httpcore would replace only `_Connection`. Its import costs a step 65 ms of CPU time and 5 MiB of
# memory (h11: 15 ms, 2 MiB), and it bounds neither interim responses nor a head in one piece.

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Final, NoReturn

import h11

from taskrunner.executors.work import ExecutorFailure
from taskrunner.values import dataclass

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from taskrunner.executors.builtin.http.web_address import WebAddress

MAX_HEADER_BYTES: Final = 16 * 1024
MAX_BODY_BYTES: Final = 32 * 1024 * 1024

_METHODS_WITH_A_BODY: Final = frozenset({"PATCH", "POST", "PUT"})
_BLOCK_BYTES: Final = 64 * 1024
# h11 bounds each head by itself, and a server may send any number of interim responses.
_MAX_INTERIM_RESPONSES: Final = 20


@dataclass(frozen=True, slots=True)
class Request:
    """A request; the exchange adds Host, Content-Length and other headers that carry it."""

    method: str
    address: WebAddress
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """A response, whose body is in a file; the names of its headers are in lower case."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    size_bytes: int

    def header(self, name: str) -> str | None:
        """Return the first header with that name, or None."""
        return next((value for key, value in self.headers if key == name), None)


class Deadline:
    """A moment by which everything must be done."""

    def __init__(self, time_s: float) -> None:
        """Set the deadline *time_s* seconds from now."""
        self._time_s = time_s
        self._ends = time.monotonic() + time_s

    def left_s(self) -> float:
        """Return the seconds that are left, more than zero.

        Raises:
            TimeoutError: none are left.
        """
        left_s = self._ends - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s

    def __str__(self) -> str:
        return f"{self._time_s:g} seconds"


def exchange(
    request: Request,
    connection: socket.socket,
    body_file: Path,
    deadline: Deadline,
    make_tls: Callable[[], ssl.SSLContext],
) -> Response:
    """Send *request*, write the response's body to *body_file*, and close the connection.

    Raises:
        ExecutorFailure: there was no complete response in time, it was not HTTP, or too large.
    """
    origin = request.address.origin
    try:
        with connection:
            connection.settimeout(deadline.left_s())
            if request.address.scheme == "http":
                return _Connection(connection, deadline).exchange(request, body_file)
            # Without suppress_ragged_eofs=False, a body that ends with the connection could be cut
            # short by somebody on the way.
            with _noticing_ends(make_tls()).wrap_socket(
                connection, server_hostname=request.address.host, suppress_ragged_eofs=False
            ) as encrypted:
                return _Connection(encrypted, deadline).exchange(request, body_file)
    except TimeoutError:
        raise ExecutorFailure(f"{origin} sent no complete response within {deadline}") from None
    except ssl.SSLCertVerificationError as error:
        problem = f"the certificate of {origin} is not trusted: {error.verify_message}"
        raise ExecutorFailure(problem) from None
    except ssl.SSLError as error:
        raise ExecutorFailure(_tls_problem(error, origin)) from None
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise ExecutorFailure(f"the connection to {origin} broke: {problem}") from None
    except h11.RemoteProtocolError as error:
        # After a colon h11 quotes what came, escaped like Python bytes: a secret would be hidden.
        problem = str(error).partition(":")[0]
        raise ExecutorFailure(f"{origin} did not answer with valid HTTP: {problem!a}") from None


def _noticing_ends(tls: ssl.SSLContext) -> ssl.SSLContext:
    """Return *tls*, which then reports a connection that ends without TLS's own end.

    Python 3.11.2 and older take that for an end like any other, unless this option of OpenSSL 3 is
    switched off, and report it as another error than later ones.
    """
    tls.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return tls


def _tls_problem(error: ssl.SSLError, origin: str) -> str:
    if isinstance(error, ssl.SSLEOFError) or error.reason == "UNEXPECTED_EOF_WHILE_READING":
        return f"the connection to {origin} broke: it ended early"
    return f"{origin} did not answer with TLS: {error.reason or error}"


class _Connection:
    """One connection, for one request and its response."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEADER_BYTES)

    def exchange(self, request: Request, body_file: Path) -> Response:
        try:
            for event in _events(request):
                self._send(self._http.send(event) or b"")
        except (BrokenPipeError, ConnectionResetError):
            pass  # a server may refuse a body, and respond, before all of it is sent
        head = self._receive_head()
        size_bytes = self._receive_body(body_file, request.address.origin)
        headers = tuple((name.decode(), _text(value)) for name, value in head.headers)
        return Response(head.status_code, _text(bytes(head.reason)), headers, size_bytes)

    def _receive_head(self) -> h11.Response:
        for _ in range(_MAX_INTERIM_RESPONSES):
            event = self._receive_event()
            if isinstance(event, h11.Response):
                # h11 bounds only a head that it has to wait for, not one that came in one piece.
                size_bytes = sum(len(name) + len(value) + 4 for name, value in event.headers)
                if size_bytes > MAX_HEADER_BYTES:
                    raise h11.RemoteProtocolError(f"more than {MAX_HEADER_BYTES} bytes of headers")
                return event
            if not isinstance(event, h11.InformationalResponse):
                _ended_too_early()
        raise h11.RemoteProtocolError("too many interim responses")

    def _receive_body(self, body_file: Path, origin: str) -> int:
        """Write the body to *body_file* and return its size in bytes."""
        size_bytes = 0
        with body_file.open("wb") as file:
            while not isinstance(event := self._receive_event(), h11.EndOfMessage):
                if not isinstance(event, h11.Data):
                    _ended_too_early()
                size_bytes += len(event.data)
                if size_bytes > MAX_BODY_BYTES:
                    raise ExecutorFailure(f"{origin} sent more than {MAX_BODY_BYTES} bytes")
                file.write(event.data)
        return size_bytes

    def _receive_event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._connection.settimeout(self._deadline.left_s())
            self._http.receive_data(self._connection.recv(_BLOCK_BYTES))
        return event

    def _send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            self._connection.settimeout(self._deadline.left_s())
            left = left[self._connection.send(left[:_BLOCK_BYTES]) :]


def _events(request: Request) -> Iterator[h11.Request | h11.Data | h11.EndOfMessage]:
    headers = [
        ("Host", request.address.authority),
        *request.headers,
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ]
    if request.body or request.method in _METHODS_WITH_A_BODY:
        headers.append(("Content-Length", str(len(request.body))))
    yield h11.Request(method=request.method, target=request.address.target, headers=headers)
    if request.body:
        yield h11.Data(data=request.body)
    yield h11.EndOfMessage()


def _ended_too_early() -> NoReturn:
    raise h11.RemoteProtocolError("the connection ended before there was a response")


def _text(raw: bytes) -> str:
    """Decode a header; RFC 9110 defines no encoding for it, and most are UTF-8 or Latin-1."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    # Some parsers let control characters through, and outputs are shown in terminals.
    return "".join(character if character.isprintable() else " " for character in text)
