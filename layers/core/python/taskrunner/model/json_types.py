"""The JSON data model as Python types."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

# `Any` where a recursive alias would force a cast at every step of a walk.
Json: TypeAlias = Any
JsonObject: TypeAlias = dict[str, Any]
JsonMapping: TypeAlias = Mapping[str, Any]

# Beyond this an IEEE 754 double no longer tells neighbours apart, and RFC 8785 has no form for it.
LARGEST_INTEGER = 2**53 - 1


def unusable(
    value: Json, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What in *value* has no form in RFC 8785, with its path; Python's JSON lets it through."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from unusable(key, path)
            yield from unusable(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from unusable(child, (*path, index))
    elif isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            yield path, "the text holds a lone surrogate, which is not valid Unicode"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield path, f"{value} is not a number that JSON knows"
    elif isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        yield path, f"the number is beyond {LARGEST_INTEGER}, where JSON numbers lose digits"
