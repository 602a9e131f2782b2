"""A server and functions that return secrets: in every part of an answer, in every spelling."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.security.leaks.spellings import BESIDE, SECRETS, WAYS, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _one_line(text: str) -> bytes:
    return "".join(sign if sign.isprintable() else " " for sign in text).encode()


# Status, reason, headers and body.
Reply = tuple[int, bytes, list[tuple[bytes, bytes]], bytes]
_TEXT = (b"Content-Type", b"text/plain; charset=utf-8")
_JSON = (b"Content-Type", b"application/json")


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _document(name: str) -> object:
    """The answer of a server that reads the secret as JSON."""
    try:
        return {"read": json.loads(SECRETS[name])}
    except ValueError:
        return {"read": SECRETS[name]}


# The ways in which the server returns the secret of a name.
ANSWERS: dict[str, Callable[[str], Reply]] = {
    "text": lambda n: (200, b"OK", [_TEXT], "\n".join(written(n).values()).encode()),
    "json": lambda n: (200, b"OK", [_JSON], _json(list(written(n).values()))),
    "keys": lambda n: (200, b"OK", [_JSON], _json({t: w for w, t in written(n).items()})),
    "document": lambda n: (200, b"OK", [_JSON], _json(_document(n))),
    "latin": lambda n: (
        200,
        b"OK",
        [(b"Content-Type", b"text/plain; charset=iso-8859-1")],
        SECRETS[n].encode(),
    ),
    "bytes": lambda n: (200, b"OK", [], b"\x00" + SECRETS[n].encode("utf-16-le") + b"\xff\xfe"),
    "headers": lambda n: (
        200,
        b"OK",
        [
            (b"X-%d" % at, _one_line(text[:7000]).strip())
            for at, text in enumerate(list(written(n).values())[:8])
        ],
        b"",
    ),
    "cookie": lambda n: (200, b"OK", [(b"Set-Cookie", b"s=" + quote(SECRETS[n]).encode())], b""),
    "failed": lambda n: (
        500,
        b"No",
        [_TEXT],
        b"y" * 150 + SECRETS[n].encode() + b" " + SECRETS[n].encode() * 5,
    ),
    "failed-json": lambda n: (403, b"No", [_JSON], _json({"error": f"bad token {SECRETS[n]}"})),
    "reason": lambda n: (500, b"z" * 60 + _one_line(SECRETS[n]), [], b""),
    "moved": lambda n: (
        302,
        b"Found",
        [(b"Location", f"/text/{n}?back={quote(SECRETS[n])}".encode())],
        b"",
    ),
    "moved-out": lambda n: (302, b"Found", [(b"Location", _host(n))], b""),
    "moved-wrong": lambda n: (302, b"Found", [(b"Location", b"ftp://" + _host(n)[7:])], b""),
    "moved-kept": lambda n: (
        307,
        b"Found",
        [(b"Location", b"https://x.example/?" + _one_line(SECRETS[n][:7000]).strip())],
        b"",
    ),
    "nonsense": lambda n: (0, SECRETS[n].encode(), [], b""),
}


def _host(name: str) -> bytes:
    return b"http://" + quote(SECRETS[name], safe="").encode() + b".example.com/"


class _Handler(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        _, how, name = self.path.partition("?")[0].split("/")
        status, reason, headers, body = ANSWERS[how](name)
        lines = [b"HTTP/1.1 %d " % status + reason if status else reason]
        lines += [key + b": " + value for key, value in headers]
        lines += [b"Content-Length: %d" % len(body), b"Connection: close", b"", body]
        self.wfile.write(b"\r\n".join(lines))
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Log nothing: this server is not part of the product."""


@contextmanager
def server() -> Iterator[int]:
    """Run a server that knows all secrets, and yield its port on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield running.server_address[1]
        finally:
            running.shutdown()
            thread.join()


class FunctionError(Exception):
    pass


@dataclass
class Functions:
    """Executor functions that return what they receive; *received* holds each `with`."""

    received: list[Any] = field(default_factory=list)

    def all(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        """The functions by their names in packs."""
        names = ("echo", "spelt", "nested", "keyed", "raises", "denies", "says", "much")
        return {name: getattr(self, f"_{name}") for name in names}

    def _value(self, payload: dict[str, Any]) -> str:
        self.received.append(payload["with"])
        return str(payload["with"]["value"])

    def _echo(self, payload: dict[str, Any]) -> Any:  # noqa: ANN401
        return {"payload": payload, "again": self._value(payload)}

    def _spelt(self, payload: dict[str, Any]) -> Any:  # noqa: ANN401
        value = self._value(payload)
        return [write(value) for write in (WAYS | BESIDE).values()]

    def _nested(self, payload: dict[str, Any]) -> Any:  # noqa: ANN401
        value = self._value(payload)
        return {"body": json.dumps({"inner": json.dumps({"headers": [value]}), "value": value})}

    def _keyed(self, payload: dict[str, Any]) -> Any:  # noqa: ANN401
        value = self._value(payload)
        return {value: 1, f"{value}-2": {value: [value]}, "***": 2}

    def _raises(self, payload: dict[str, Any]) -> Any:  # noqa: ANN401
        value = self._value(payload)
        raise type(value, (FunctionError,), {})(f"no {value}")

    def _denies(self, payload: dict[str, Any]) -> Any:  # noqa: ANN401
        value = self._value(payload)
        failures = [value, {"id": value, "message": "x" * 990 + value}, {"message": value}]
        return {"passed": False, "failures": failures, "more": value}

    def _says(self, payload: dict[str, Any]) -> Any:  # noqa: ANN401
        return self._value(payload)

    def _much(self, payload: dict[str, Any]) -> Any:  # noqa: ANN401
        raise FunctionError(self._value(payload) * 400)
