"""Reads a pack's file, and its inputs from a file and from `NAME=VALUE` pairs."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NoReturn

from taskrunner_cli.errors import UsageError
from taskrunner_cli.json_types import JsonValue

STDIN: Final = "-"


def read_text(path: str, description: str) -> str:
    """Return the text of file *path*, or of standard input for `-`; messages use *description*.

    Raises:
        UsageError: the file does not exist, or is not UTF-8.

    """
    try:
        return sys.stdin.read() if path == STDIN else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read the {description} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"cannot read the {description} {path}: it is not UTF-8 at byte {error.start + 1}",
            cure="save it as UTF-8",
        ) from error


def gather_inputs(pairs: Iterable[str], file: str | None) -> dict[str, JsonValue]:
    """Return the inputs of *file*, a JSON object, with *pairs* of `NAME=VALUE` on top.

    A value that is JSON is read as JSON, any other value is text: `retries=3` is a number,
    `target=app:v1` is text, and `tag="3"` is the text 3.

    Raises:
        UsageError: a pair has no name or no `=`, or *file* does not hold a JSON object.

    """
    inputs = _read_inputs(file) if file else {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--input {pair!r} is not NAME=VALUE", cure="--input retries=3")
        inputs[name] = _parse_value(value)
    return inputs


def _read_inputs(file: str) -> dict[str, JsonValue]:
    try:
        inputs = _parse_json(read_text(file, "inputs file"))
    except ValueError as error:
        raise UsageError(f"the inputs file {file} is not JSON: {error}") from error
    if not isinstance(inputs, Mapping):
        raise UsageError(
            f"the inputs file {file} does not hold a JSON object", cure='{"image": "alpine:latest"}'
        )
    return dict(inputs)


def _parse_value(text: str) -> JsonValue:
    try:
        return _parse_json(text)
    except ValueError:
        return text


def _parse_json(text: str) -> JsonValue:
    """Parse JSON by RFC 8259, which has no NaN and no Infinity, unlike Python's parser."""

    def reject(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    document: JsonValue = json.loads(text, parse_constant=reject)
    return document
