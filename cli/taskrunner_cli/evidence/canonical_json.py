"""Parses JSON and writes its canonical form (RFC 8785), with failures in words for a check."""

import json
from typing import Final

import rfc8785

from taskrunner_cli.json_types import JsonValue

_FIRST_DOUBLE: Final = 2.0**53


class CheckFailedError(Exception):
    """The reason why a check fails."""


def parse_json(content: bytes, description: str) -> JsonValue:
    """Return the JSON in *content*; messages use *description*.

    Raises:
        CheckFailedError: it is not JSON.

    """
    try:
        document: JsonValue = json.loads(content, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise CheckFailedError(f"{description} is not JSON: {error}") from error
    return document


def _integer(text: str) -> int | float:
    # RFC 8785 writes a double without an exponent up to 1e21; beyond 2**53 it is not an integer to
    # the library.
    value = float(text)
    return int(text) if abs(value) < _FIRST_DOUBLE else value


def canonical_json(document: object, description: str) -> bytes:
    """Return the canonical form of *document*; messages use *description*.

    Raises:
        CheckFailedError: it has none, for example because a number does not fit into a double.

    """
    try:
        return rfc8785.dumps(document)  # type: ignore[arg-type] # it rejects what is not JSON
    except (
        ValueError,
        RecursionError,
    ) as error:  # a lone surrogate in a key is a UnicodeEncodeError
        raise CheckFailedError(
            f"{description} has no canonical form (RFC 8785): {error}"
        ) from error
