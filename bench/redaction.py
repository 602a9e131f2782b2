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
_CHUNKS = 500


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
    contents = {
        "random": os.urandom(_CHUNK),
        "base64": base64.b64encode(os.urandom(_CHUNK))[:_CHUNK],
        "log": (line * (_CHUNK // len(line) + 1))[:_CHUNK],
    }
    for name, secret in secrets.items():
        redactor = Redactor({"s": secret})
        for kind, content in contents.items():
            started = time.perf_counter()
            assert redactor.find(_stream(content)) is None  # noqa: S101 - a find would end the search early
            took_s = time.perf_counter() - started
            print(f"{name:22} in 500 MiB of {kind:7} {took_s:6.2f} s")


if __name__ == "__main__":
    main()
