"""One request and its answer over a connection that somebody else made (HTTP/1.1, RFC 9112).

h11 reads and writes the protocol and touches no socket; this module moves its bytes. Each read and
each write has what is left of one deadline, so that an answer that drips takes no longer than one
that never comes.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

import h11

from taskrunner.executors.work import ExecutorFailure

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from taskrunner.model.web_address import WebAddress

MAX_HEADER_BYTES: Final = 16 * 1024
MAX_BODY_BYTES: Final = 32 * 1024 * 1024

_WITH_A_BODY: Final = frozenset({"PATCH", "POST", "PUT"})
_PIECE: Final = 64 * 1024
# h11 bounds each head on its own, and a server may send any number of interim answers.
_MAX_INTERIM: Final = 20


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent; beside *headers* only what carries it: Host, Content-Length and the like."""

    method: str
    address: WebAddress
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back but for the body, which is in a file; names of headers are in lower case."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    size_bytes: int

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next((value for key, value in self.headers if key == name), None)


class Deadline:
    """A moment, and what is left until then."""

    def __init__(self, time_s: float) -> None:
        """It is *time_s* seconds from now."""
        self._time_s = time_s
        self._ends = time.monotonic() + time_s

    def left_s(self) -> float:
        """The seconds that are left.

        Raises:
            TimeoutError: there are none.
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
    body: Path,
    deadline: Deadline,
    tls: Callable[[], ssl.SSLContext],
) -> Answer:
    """Send *request*, write the body of the answer to *body*, and close the connection.

    Raises:
        ExecutorFailure: there was no whole answer in time, or it was no HTTP, or too large.
    """
    origin = request.address.origin
    try:
        with connection:
            connection.settimeout(deadline.left_s())
            if request.address.scheme == "http":
                return _Exchange(connection, deadline).run(request, body)
            # A body that ends with the connection is whole only when TLS says that it is.
            with tls().wrap_socket(
                connection, server_hostname=request.address.host, suppress_ragged_eofs=False
            ) as encrypted:
                return _Exchange(encrypted, deadline).run(request, body)
    except TimeoutError:
        raise ExecutorFailure(f"{origin} gave no whole answer within {deadline}") from None
    except ssl.SSLCertVerificationError as error:
        raise ExecutorFailure(f"{origin} is not trusted: {error.verify_message}") from None
    except ssl.SSLEOFError:
        raise ExecutorFailure(f"the connection to {origin} broke: it ended early") from None
    except ssl.SSLError as error:
        raise ExecutorFailure(f"{origin} spoke no TLS: {error.reason or error}") from None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ExecutorFailure(f"the connection to {origin} broke: {why}") from None
    except h11.RemoteProtocolError as error:
        # Behind a colon stands what came, escaped as Python escapes bytes, and any secret with it.
        what = str(error).partition(":")[0]
        raise ExecutorFailure(f"{origin} answered with what is no HTTP: {what!a}") from None


class _Exchange:
    """One connection, until its one answer is there."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEADER_BYTES)

    def run(self, request: Request, body: Path) -> Answer:
        try:
            for part in _events(request):
                self._send(self._http.send(part) or b"")
        except (BrokenPipeError, ConnectionResetError):
            pass  # who refuses a body may say so before all of it is sent
        head = self._head()
        size_bytes = 0
        with body.open("wb") as file:
            while not isinstance(event := self._next(), h11.EndOfMessage):
                if not isinstance(event, h11.Data):
                    _end_too_early()
                size_bytes += len(event.data)
                if size_bytes > MAX_BODY_BYTES:
                    raise ExecutorFailure(
                        f"{request.address.origin} answered with more than {MAX_BODY_BYTES} bytes"
                    )
                file.write(event.data)
        headers = tuple((name.decode(), _text(value)) for name, value in head.headers)
        reason = _text(bytes(head.reason))
        return Answer(head.status_code, reason, headers, size_bytes)

    def _head(self) -> h11.Response:
        for _ in range(_MAX_INTERIM):
            event = self._next()
            if isinstance(event, h11.Response):
                # h11 bounds what it waits for; a head that came in one piece it takes as it is.
                size_bytes = sum(len(name) + len(value) + 4 for name, value in event.headers)
                if size_bytes > MAX_HEADER_BYTES:
                    raise h11.RemoteProtocolError(f"more than {MAX_HEADER_BYTES} bytes of headers")
                return event
            if not isinstance(event, h11.InformationalResponse):
                _end_too_early()
        raise h11.RemoteProtocolError("too many interim answers")

    def _next(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._connection.settimeout(self._deadline.left_s())
            self._http.receive_data(self._connection.recv(_PIECE))
        return event

    def _send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            self._connection.settimeout(self._deadline.left_s())
            left = left[self._connection.send(left[:_PIECE]) :]


def _events(request: Request) -> Iterator[h11.Request | h11.Data | h11.EndOfMessage]:
    headers = [
        ("Host", request.address.authority),
        *request.headers,
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ]
    if request.body or request.method in _WITH_A_BODY:
        headers.append(("Content-Length", str(len(request.body))))
    yield h11.Request(method=request.method, target=request.address.target, headers=headers)
    if request.body:
        yield h11.Data(data=request.body)
    yield h11.EndOfMessage()


def _end_too_early() -> NoReturn:
    raise h11.RemoteProtocolError("it ended before there was an answer")


def _text(raw: bytes) -> str:
    """A header's text; its bytes have no encoding by RFC 9110, and most are UTF-8 or Latin-1."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    # Some parsers let control characters through, and outputs end up in somebody's terminal.
    return "".join(character if character.isprintable() else " " for character in text)
