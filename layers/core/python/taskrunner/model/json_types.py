"""The JSON data model as Python types."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

# `Any` where a recursive alias would force a cast at every step of a walk.
Json: TypeAlias = Any
JsonObject: TypeAlias = dict[str, Any]
JsonMapping: TypeAlias = Mapping[str, Any]

# Beyond this an IEEE 754 double no longer tells neighbours apart, and RFC 8785 has no form for it.
LARGEST_INTEGER = 2**53 - 1

# Whoever walks through a value takes some of Python's 1,000 frames for each level of it. This is
# more than anybody writes, and leaves room for what is made of several values.
MAX_DEPTH = 200

_Path: TypeAlias = tuple[str | int, ...]


def too_deep(value: Json, most: int = MAX_DEPTH) -> str | None:
    """What to say of a *value* of more than *most* lists and objects one in another, if it is."""
    layer = [value]
    for _ in range(most + 1):
        layer = [child for one in layer for child in _children(one)]
        if not layer:
            return None
    return f"it is nested deeper than {most} levels"


def _children(value: Json) -> Iterable[Json]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def unusable(value: Json) -> Iterator[tuple[_Path, str]]:
    """What in *value* has no form in RFC 8785, with its path; Python's JSON lets it through.

    A value that nobody could walk through is told as a whole.
    """
    problem = too_deep(value)
    return _unusable(value, ()) if problem is None else iter([((), problem)])


def _unusable(value: Json, path: _Path) -> Iterator[tuple[_Path, str]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _unusable(key, path)
            yield from _unusable(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _unusable(child, (*path, index))
    elif isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            yield path, "the text holds a lone surrogate, which is not valid Unicode"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield path, f"{value} is not a number that JSON knows"
    elif isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        yield path, f"the number is beyond {LARGEST_INTEGER}, where JSON numbers lose digits"
