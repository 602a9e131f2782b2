"""Measure how long it takes to look for secrets in a large file.

Run it as `PYTHONPATH=layers/core/python .venv/bin/python bench/redaction.py`.
"""

from __future__ import annotations

import base64
import os
import time
from typing import TYPE_CHECKING

from taskrunner.model.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1024 * 1024
_CHUNKS = 100


def _stream(content: bytes) -> Iterator[bytes]:
    for _ in range(_CHUNKS):
        yield content


def _key() -> str:
    text = base64.b64encode(os.urandom(1200)).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"])


def main() -> None:
    """Print the time for each kind of secret and of content."""
    secrets = {
        "a password": "correct-horse-battery",
        "a password with signs": "p@ss w/rd+<'\"&\\>é",
        "a private key": _key(),
    }
    line = b'{"level": "info", "message": "a line of a log, some words of it", "n": 12345}\n'
    escaped = (
        b'{"id": "0f1e2d3c-4b5a-6978", "url": "?q=a%2Fb%0A", "text": "a\\nb\\u002B&#43;&#x2F;"}\n'
    )
    contents = {
        "random": os.urandom(_CHUNK),
        "base64": base64.b64encode(os.urandom(_CHUNK))[:_CHUNK],
        "base64 twice": base64.b64encode(base64.encodebytes(os.urandom(_CHUNK)))[:_CHUNK],
        "log": (line * (_CHUNK // len(line) + 1))[:_CHUNK],
        "log with escapes": (escaped * (_CHUNK // len(escaped) + 1))[:_CHUNK],
        "escapes alone": b"\\n%0A" * (_CHUNK // 5),
    }
    for name, secret in secrets.items():
        redactor = Redactor({"s": secret})
        for kind, content in contents.items():
            started = time.process_time()
            assert redactor.find(_stream(content)) is None  # noqa: S101 - a find would end the search early
            took_s = time.process_time() - started
            print(f"{name:22} in 100 MiB of {kind:16} {took_s:6.2f} s")


if __name__ == "__main__":
    main()
