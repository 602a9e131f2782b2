"""Known secrets, and every spelling in which one of them may come to be written.

The spellings are written without looking at taskrunner.model.redaction: a spelling that is missing
there must not be missing here for the same reason.
"""

from __future__ import annotations

import base64
import html
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Text that has this many characters of a secret has them for no other reason. A text with 15
# characters of a secret in a row holds one whole piece.
_PIECE_LENGTH = 12
_STRIDE = 4

_PEM_LINES = "\n".join(
    base64.b64encode(bytes((7 * at + line) % 251 for at in range(48))).decode() for line in range(5)
)
DOCUMENT = {"user": "svc-Vj3qW0-bot", "password": 'hj"4\\Kq/9~wP2', "pin": 4711}
SECRETS = {
    "plain": "Q7vR2mXk9TzW4pLcB8nY",
    "unicode": "gehört-dem-Schloß-日本-🔑-Ñandú",
    "signs": "x9'Q\"k\\r/7%2Fz&<b>+=;p",
    "pem": f"-----BEGIN PRIVATE KEY-----\n{_PEM_LINES}\n-----END PRIVATE KEY-----\n",
    "long": "".join(chr(97 + (at * at * 7 + at * 3) % 26) for at in range(700)) + "Zq",
    "digits": "0048151623427315",
    # Code that takes this for a path names its parts alone, which are not secret.
    "base64": "aGVsbG8+d29/ybGQ+c2Vjcm/V0+8xYg==",
    "document": json.dumps(DOCUMENT),
    "lines": "alpha-712\n  beta-93-x\ttab",
}


def _secret_parts(value: str) -> list[str]:
    """The texts of a secret that are secret by themselves."""
    if value.startswith("{"):
        return [text for text in json.loads(value).values() if isinstance(text, str)]
    if value.startswith("-----"):
        return value.splitlines()[1:-1]
    return [value]


def _texts(name: str) -> list[str]:
    return [SECRETS[name].strip(), *_secret_parts(SECRETS[name].strip())]


def _pieces(name: str) -> set[str]:
    """Overlapping pieces of the secret *name*, as they are and in lower case."""
    pieces = {
        part[at : at + _PIECE_LENGTH]
        for part in _secret_parts(SECRETS[name].strip())
        for at in range(0, len(part) - _PIECE_LENGTH + 1, _STRIDE)
    }
    return pieces | {piece.lower() for piece in pieces}


def _percent(text: str, keep: str = "") -> str:
    return "".join(
        chr(byte) if (byte < 128 and chr(byte).isalnum()) or chr(byte) in keep else f"%{byte:02X}"
        for byte in text.encode()
    )


def _go_json(text: str) -> str:
    text = json.dumps(text, ensure_ascii=False)[1:-1]
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


WAYS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "lower case": str.lower,
    "upper case": str.upper,
    "URL": lambda s: _percent(s, "-_.~"),
    "URL, as browsers do": lambda s: _percent(s, "-_.!~*'()"),
    "URL, lower hex": lambda s: re.sub("%..", lambda m: m[0].lower(), _percent(s, "-_.~")),
    "URL, of a form": lambda s: _percent(s, "*-._ ").replace(" ", "+"),
    "URL twice": lambda s: _percent(_percent(s, "-_.~"), "-_.~"),
    "JSON": lambda s: json.dumps(s)[1:-1],
    "JSON with letters": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "JSON, slashes escaped": lambda s: json.dumps(s).replace("/", "\\/")[1:-1],
    "JSON, as Go does": _go_json,
    "JSON in JSON": lambda s: json.dumps(json.dumps(s)[1:-1])[1:-1],
    "HTML": html.escape,
    "HTML, as Go does": lambda s: html.escape(s).replace("&quot;", "&#34;").replace("x27", "39"),
    "Python": lambda s: repr(s)[1:-1],
    "Python, among quotes": lambda s: repr(s + "'\"")[1:-1].removesuffix("\\'\""),
    "in one line": lambda s: " ".join(s.split()),
    "read as Latin-1": lambda s: s.encode().decode("latin-1"),
    "hex": lambda s: s.encode().hex(),
    "HEX": lambda s: s.encode().hex().upper(),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    "base64 in a URL": lambda s: _percent(base64.b64encode(s.encode()).decode()),
    "base64, wrapped": lambda s: base64.encodebytes(s.encode()).decode().strip(),
}
# base64 of a secret with other text beside it: only the middle depends on the secret alone.
BESIDE: dict[str, Callable[[str], str]] = {
    "base64 of JSON": lambda s: base64.b64encode(json.dumps(s).encode()).decode(),
    "base64 behind a user": lambda s: base64.b64encode(f"u:{s}".encode()).decode(),
    "base64 behind a name": lambda s: base64.b64encode(f"abc:{s}xy".encode()).decode(),
    "base64 in a token": lambda s: base64.urlsafe_b64encode(f"abc{s}x".encode()).decode(),
}


def written(name: str) -> dict[str, str]:
    """The secret *name* in each way."""
    return {way: write(SECRETS[name]) for way, write in (WAYS | BESIDE).items()}


def spellings(name: str) -> dict[bytes, str]:
    """Every spelling of the secret *name*, with a description of it."""
    found: dict[bytes, str] = {}
    for text in _texts(name):
        for way, write in WAYS.items():
            spelling = write(text)
            if len(spelling) >= 8:
                found.setdefault(spelling.encode(), f"{name}: {way}")
        for way, write in BESIDE.items():
            middle = write(text)[8:-8]
            if len(middle) >= 12:
                found.setdefault(middle.encode(), f"{name}: {way}")
        for charset in ("utf-16-le", "latin-1"):
            found.setdefault(text.encode(charset, "ignore"), f"{name}: {charset}")
    for piece in _pieces(name):
        found.setdefault(piece.encode(), f"{name}: a piece of it")
    return found


def found_in(places: Iterable[tuple[str, bytes]], names: Iterable[str]) -> list[str]:
    """Describe each place that holds any of the secrets *names*, and the spelling there."""
    wanted = {
        spelling: description for name in names for spelling, description in spellings(name).items()
    }
    return [
        f"{description} in {place}: {_around(content, spelling)}"
        for place, content in places
        for spelling, description in wanted.items()
        if spelling in content
    ]


def _around(content: bytes, spelling: bytes) -> str:
    at = content.index(spelling)
    return repr(content[max(0, at - 60) : at + len(spelling) + 40])[:300]
