"""Reads a pack's file, and its inputs from a file and from `NAME=VALUE` pairs."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from taskrunner_cli.errors import PackFile, UsageError
from taskrunner_cli.json_text import JsonError, JsonLimitError, JsonNumberError, parse_json
from taskrunner_cli.json_types import JsonValue

STDIN: Final = "-"
# The service takes 1 MiB, and no file without an end, such as /dev/zero, fits into memory.
_MAX_SIZE: Final = 4 * 1024 * 1024


def read_pack(path: str) -> PackFile:
    """Return the pack in file *path*, or in standard input for `-`.

    Raises:
        UsageError: the file does not exist, or is not UTF-8.

    """
    return PackFile("<stdin>" if path == STDIN else path, read_text(path, "pack"))


def read_text(path: str, description: str) -> str:
    """Return the text of file *path*, or of standard input for `-`; messages use *description*.

    A byte order mark is not a part of the text.

    Raises:
        UsageError: the file does not exist, is not UTF-8, or is far larger than the service takes.

    """
    try:
        text = _read_bounded(path, description)
        text.encode()  # standard input may hide bytes that are not UTF-8 as lone surrogates
    except OSError as error:
        raise UsageError(f"cannot read the {description} {path}: {error.strerror}") from error
    except UnicodeError as error:
        position = f" at byte {error.start + 1}" if isinstance(error, UnicodeDecodeError) else ""
        raise UsageError(
            f"cannot read the {description} {path}: it is not UTF-8{position}",
            cure="save it as UTF-8",
        ) from error
    except ValueError as error:  # a NUL in the name
        raise UsageError(f"{path!r} cannot be the name of a file") from error
    return text.removeprefix("\ufeff")


def _read_bounded(path: str, description: str) -> str:
    content: str | bytes
    if path == STDIN:
        content = sys.stdin.read(_MAX_SIZE + 1)
    else:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_SIZE + 1)
    if len(content) > _MAX_SIZE:
        size_mib = _MAX_SIZE // 1024**2
        raise UsageError(f"cannot read the {description} {path}: it is larger than {size_mib} MiB")
    return content if isinstance(content, str) else content.decode()


def gather_inputs(pairs: Iterable[str], file: str | None) -> dict[str, JsonValue]:
    """Return the inputs of *file*, a JSON object, with *pairs* of `NAME=VALUE` on top.

    A value that is JSON is read as JSON, any other value is text: `retries=3` is a number,
    `target=app:v1` is text, and `tag="3"` is the text 3.

    Raises:
        UsageError: a pair has no name or no `=`, *file* does not hold a JSON object, or a value is
            a number that would be rounded, is nested too deeply, or has text that is not Unicode.

    """
    inputs = _read_inputs(file) if file else {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--input {pair!r} is not NAME=VALUE", cure="--input retries=3")
        inputs[name] = _parse_value(name, value)
    _require_unicode(inputs)
    return inputs


def _read_inputs(file: str) -> dict[str, JsonValue]:
    try:
        inputs = parse_json(read_text(file, "inputs file"), exact=True)
    except JsonLimitError as error:
        raise _unusable(f"the inputs file {file}", error) from error
    except JsonError as error:
        raise UsageError(f"the inputs file {file} is not JSON: {error}") from error
    if not isinstance(inputs, Mapping):
        raise UsageError(
            f"the inputs file {file} does not hold a JSON object", cure='{"image": "alpine:latest"}'
        )
    return dict(inputs)


def _parse_value(name: str, text: str) -> JsonValue:
    try:
        return parse_json(text, exact=True)
    except JsonLimitError as error:
        raise _unusable(f"--input {name}", error) from error
    except JsonError:
        return text


def _unusable(place: str, error: JsonLimitError) -> UsageError:
    is_number = isinstance(error, JsonNumberError)
    cure = "write it in quotes if it is meant as text, as in 'tag=\"3\"'" if is_number else ""
    return UsageError(f"{place} cannot be used: {error}", cure=cure)


def _require_unicode(inputs: Mapping[str, JsonValue]) -> None:
    """Check that no input has a lone surrogate, which no encoding of JSON can hold.

    JSON's escapes can write one, and Python reads bytes of the command line that are not UTF-8 as
    such.
    """
    for name, value in inputs.items():
        try:
            json.dumps([name, value], ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"the input {name!r} has text that is not Unicode",
                cure="use UTF-8, and JSON's escapes \\ud800 to \\udfff in pairs only",
            ) from error
