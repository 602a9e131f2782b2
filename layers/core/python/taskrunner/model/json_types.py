"""JSON as Python types, and the JSON values that this service cannot take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

# `Any`, because a recursive alias would force a cast at every step of a walk.
Json: TypeAlias = Any
JsonObject: TypeAlias = dict[str, Any]
JsonMapping: TypeAlias = Mapping[str, Any]

# A double holds every integer up to here exactly; RFC 8785 has no form for a larger one.
LARGEST_INTEGER = 2**53 - 1

# A recursive walk takes a few of Python's 1,000 frames for each level. This depth is more than any
# author writes, and leaves room for a value that is made of several.
MAX_DEPTH = 200

_Path: TypeAlias = tuple[str | int, ...]


def too_deep(value: Json, max_depth: int = MAX_DEPTH) -> str | None:
    """Return a message when lists and objects are nested deeper than *max_depth*, else None."""
    level = [value]
    for _ in range(max_depth + 1):
        level = [child for node in level for child in _children(node)]
        if not level:
            return None
    return f"it is nested deeper than {max_depth} levels"


def _children(value: Json) -> Iterable[Json]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def unusable(value: Json) -> Iterator[tuple[_Path, str]]:
    """Yield the path of every part of *value* that has no form in RFC 8785, and why.

    Python's own JSON lets these parts through. A value that is nested too deep is reported as a
    whole.
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
            yield path, "infinity and NaN are not JSON numbers"
    elif isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        yield path, f"the number is beyond {LARGEST_INTEGER}, where JSON numbers lose digits"
