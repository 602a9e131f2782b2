"""Known secrets, how they may come to be written, and everything in which they must not stand.

The spellings are written without a look at taskrunner.model.redaction: who forgot one there should
not forget it here for the same reason.
"""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import re
import urllib.parse
import zipfile
from typing import TYPE_CHECKING, Any

import boto3

from tests.machine.deployment import published

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.machine.client import Client
    from tests.machine.engine import Engine

TENANT = "tenant-prod"
# So many characters of a secret are no accident. Of 15 in a row one such piece is whole.
_PIECE = 12
_STRIDE = 4

_LINES = "\n".join(
    base64.b64encode(bytes((7 * at + line) % 251 for at in range(48))).decode() for line in range(5)
)
DOCUMENT = {"user": "svc-Vj3qW0-bot", "password": 'hj"4\\Kq/9~wP2', "pin": 4711}
SECRETS = {
    "plain": "Q7vR2mXk9TzW4pLcB8nY",
    "unicode": "gehört-dem-Schloß-日本-🔑-Ñandú",
    "signs": "x9'Q\"k\\r/7%2Fz&<b>+=;p",
    "pem": f"-----BEGIN PRIVATE KEY-----\n{_LINES}\n-----END PRIVATE KEY-----\n",
    "long": "".join(chr(97 + (at * at * 7 + at * 3) % 26) for at in range(700)) + "Zq",
    "digits": "0048151623427315",
    # Who takes it for a path tells of its parts by themselves, which are no secrets.
    "base64": "aGVsbG8+d29/ybGQ+c2Vjcm/V0+8xYg==",
    "document": json.dumps(DOCUMENT),
    "lines": "alpha-712\n  beta-93-x\ttab",
}


def _lines(value: str) -> list[str]:
    """The texts that are secret by themselves."""
    if value.startswith("{"):
        return [text for text in json.loads(value).values() if isinstance(text, str)]
    if value.startswith("-----"):
        return value.splitlines()[1:-1]
    return [value]


def texts(name: str) -> list[str]:
    return [SECRETS[name].strip(), *_lines(SECRETS[name].strip())]


def pieces(name: str) -> set[str]:
    """As much of a secret as nobody writes by chance, as it is and in lower case."""
    found = {
        line[at : at + _PIECE]
        for line in _lines(SECRETS[name].strip())
        for at in range(0, len(line) - _PIECE + 1, _STRIDE)
    }
    return found | {piece.lower() for piece in found}


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
# Where a secret is base64 with others beside it, what is its own is in the middle.
BESIDE: dict[str, Callable[[str], str]] = {
    "base64 of JSON": lambda s: base64.b64encode(json.dumps(s).encode()).decode(),
    "base64 behind a user": lambda s: base64.b64encode(f"u:{s}".encode()).decode(),
    "base64 behind a name": lambda s: base64.b64encode(f"abc:{s}xy".encode()).decode(),
    "base64 in a token": lambda s: base64.urlsafe_b64encode(f"abc{s}x".encode()).decode(),
}


def spellings(name: str) -> dict[bytes, str]:
    """Every way in which the secret *name* may be written, and what to call it."""
    found: dict[bytes, str] = {}
    for text in texts(name):
        for way, write in WAYS.items():
            written = write(text)
            if len(written) >= 8:
                found.setdefault(written.encode(), f"{name}: {way}")
        for way, write in BESIDE.items():
            middle = write(text)[8:-8]
            if len(middle) >= 12:
                found.setdefault(middle.encode(), f"{name}: {way}")
        for charset in ("utf-16-le", "latin-1"):
            found.setdefault(text.encode(charset, "ignore"), f"{name}: {charset}")
    for piece in pieces(name):
        found.setdefault(piece.encode(), f"{name}: a piece of it")
    return found


class Watch(logging.Handler):
    """Keeps all that is logged, by anybody, at any level."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def found_in(places: Iterable[tuple[str, bytes]], names: Iterable[str]) -> list[str]:
    """Where any of the secrets *names* stands, and how it is written there."""
    wanted = {spelling: what for name in names for spelling, what in spellings(name).items()}
    return [
        f"{what} in {place}: {_around(content, spelling)}"
        for place, content in places
        for spelling, what in wanted.items()
        if spelling in content
    ]


def _around(content: bytes, spelling: bytes) -> str:
    at = content.index(spelling)
    return repr(content[max(0, at - 60) : at + len(spelling) + 40])[:300]


def _unfolded(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Every text of a JSON value as it is, and the whole as JSON."""
    parts: list[bytes] = [json.dumps(value, ensure_ascii=False, default=str).encode()]

    def walk(node: Any) -> None:  # noqa: ANN401
        if isinstance(node, dict):
            for key, child in node.items():
                walk(key)
                walk(child)
        elif isinstance(node, list | tuple):
            for child in node:
                walk(child)
        elif isinstance(node, str):
            parts.append(node.encode())
            if node[:1] in "[{":
                try:
                    walk(json.loads(node))
                except ValueError:
                    return
        elif isinstance(node, bytes):
            parts.append(node)

    walk(value)
    return b"\n".join(parts)


def kept(engine: Engine) -> Iterator[tuple[str, bytes]]:
    """All that table, bucket, topic, machines and their executions hold, by its place."""
    table, bucket = boto3.client("dynamodb"), boto3.client("s3")
    for page in table.get_paginator("scan").paginate(TableName="runs"):
        for item in page["Items"]:
            yield f"table {item['pk']} {item['sk']}", _unfolded(item)
    for page in bucket.get_paginator("list_objects_v2").paginate(Bucket="runs"):
        for one in page.get("Contents", []):
            answer = bucket.get_object(Bucket="runs", Key=one["Key"])
            content = answer.pop("Body").read()
            yield f"bucket {one['Key']}", content + _unfolded(answer) + one["Key"].encode()
            if content.startswith(b"PK"):
                with zipfile.ZipFile(io.BytesIO(content)) as archive:
                    for entry in archive.namelist():
                        yield f"in {one['Key']}", entry.encode() + archive.read(entry)
    yield from _executions(engine)
    for number, notification in enumerate(published()):
        yield f"notification {number}", notification.encode("utf-8", "surrogatepass")
    for name, event in engine.calls:
        yield f"event of {name}", _unfolded(event)


def _executions(engine: Engine) -> Iterator[tuple[str, bytes]]:
    states = engine.states
    for machine in states.list_state_machines()["stateMachines"]:
        arn = machine["stateMachineArn"]
        yield f"machine {arn}", _unfolded(states.describe_state_machine(stateMachineArn=arn))
        for one in states.list_executions(stateMachineArn=arn)["executions"]:
            execution = {"executionArn": one["executionArn"]}
            yield "execution", _unfolded(states.describe_execution(**execution))
            yield "history", _unfolded(states.get_execution_history(**execution)["events"])


def answers(client: Client, run_id: str) -> Iterator[tuple[str, bytes]]:
    """All that the API says about a run."""
    for path in ("", "/logs", "/artifacts"):
        answer = client("GET", f"runs/{run_id}{path}")
        yield f"GET run{path}", answer.body.encode() + json.dumps(dict(answer.headers)).encode()
        if path != "/logs":
            yield f"GET run{path}", _unfolded(answer.json)
    for artifact in client("GET", f"runs/{run_id}/artifacts").json:
        answer = client("GET", f"runs/{run_id}/artifacts/{_quoted(artifact['name'])}")
        yield f"artifact {artifact['name']}", answer.body.encode()
    yield "list", client("GET", "runs").body.encode()


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")
