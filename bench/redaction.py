"""Measures how long it takes to look for secrets in a large file.

PYTHONPATH=layers/core/python .venv/bin/python bench/redaction.py
"""

from __future__ import annotations

import base64
import os
import time
from typing import TYPE_CHECKING

from taskrunner.model.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES = 1024 * 1024
_CHUNKS = 500


def _stream(content: bytes) -> Iterator[bytes]:
    for _ in range(_CHUNKS):
        yield content


def _key() -> str:
    text = base64.b64encode(os.urandom(1200)).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"])


def main() -> None:
    """Measure, and print one line for each kind of secret and of content."""
    secrets = {
        "a password": "correct-horse-battery",
        "a password with special characters": "p@ss w/rd+<'\"&\\>é",
        "a private key": _key(),
    }
    line = b'{"level": "info", "message": "a line of a log, some words of it", "n": 12345}\n'
    contents = {
        "random": os.urandom(_CHUNK_BYTES),
        "base64": base64.b64encode(os.urandom(_CHUNK_BYTES))[:_CHUNK_BYTES],
        "log": (line * (_CHUNK_BYTES // len(line) + 1))[:_CHUNK_BYTES],
    }
    for kind_of_secret, secret in secrets.items():
        redactor = Redactor({"s": secret})
        for kind_of_content, content in contents.items():
            started = time.perf_counter()
            assert redactor.find(_stream(content)) is None  # noqa: S101 - else it stops early
            took_s = time.perf_counter() - started
            print(f"{kind_of_secret:35} in 500 MiB of {kind_of_content:7} {took_s:6.2f} s")


if __name__ == "__main__":
    main()
