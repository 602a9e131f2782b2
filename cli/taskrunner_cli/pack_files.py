"""Reads what a person writes: packs, typed inputs, and the line that an error speaks of."""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from taskrunner_cli.errors import UsageMistakeError

_NAMES_A_LINE: Final = re.compile(r"\bline (\d+)\b")
STDIN: Final = "-"


def read_text(path: str, what: str) -> str:
    """Return the text of the file *path*, or of standard input for `-`.

    Raises:
        UsageMistakeError: there is no such file, or it is not text in UTF-8.

    """
    try:
        return sys.stdin.read() if path == STDIN else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageMistakeError(f"cannot read the {what} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageMistakeError(f"the {what} {path} is not text in UTF-8: {error}") from error


def gather_inputs(pairs: Iterable[str], file: str | None) -> dict[str, Any]:
    """Return the inputs of *file*, a JSON object, overlaid with *pairs* of `name=value`.

    A value is read as JSON when it is JSON, else as the text it is: `retries=3` is a number,
    `target=app:v1` is text, and `tag='"3"'` is the text 3.

    Raises:
        UsageMistakeError: a pair has no `=`, or *file* holds no JSON object.

    """
    inputs = _inputs_of(file) if file else {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageMistakeError(f"--input {pair!r} is not name=value")
        inputs[name] = _typed(value)
    return inputs


def offending_line(message: str, manifest: str | None) -> tuple[int, str] | None:
    """Return number and text of the line that *message* names, if *manifest* has it."""
    named = _NAMES_A_LINE.search(message)
    if not named or manifest is None:
        return None
    number, lines = int(named[1]), manifest.splitlines()
    return (number, lines[number - 1]) if 0 < number <= len(lines) else None


def _inputs_of(file: str) -> dict[str, Any]:
    try:
        inputs = _json(read_text(file, "inputs file"))
    except ValueError as error:
        raise UsageMistakeError(f"the inputs file {file} is not JSON: {error}") from error
    if not isinstance(inputs, Mapping):
        raise UsageMistakeError(f"the inputs file {file} holds no JSON object")
    return dict(inputs)


def _typed(value: str) -> object:
    try:
        return _json(value)
    except ValueError:
        return value


def _json(text: str) -> object:
    """Read strict JSON: Python's own NaN and Infinity are words here, not numbers."""

    def refuse(word: str) -> object:
        raise ValueError(f"{word} is not JSON")

    document: object = json.loads(text, parse_constant=refuse)
    return document
