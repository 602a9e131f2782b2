"""JSON as Python types, and the JSON values that this service cannot take."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from taskrunner.model.json_numbers import (
    LARGEST_INTEGER,
    InexactNumber,
    normal_number,
    read_number,
)
from taskrunner.model.wording import shortened

# `Any`, because a recursive alias would force a cast at every step of a walk.
Json: TypeAlias = Any
JsonObject: TypeAlias = dict[str, Any]
JsonMapping: TypeAlias = Mapping[str, Any]

# A recursive walk takes a few of Python's 1,000 frames for each level. This depth is more than any
# author writes, and leaves room for a value that is made of several.
MAX_DEPTH = 200
_MAX_SHOWN = 80
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

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


def unusable(value: Json, sender: str | None = None) -> Iterator[tuple[_Path, str]]:
    """Yield the path of every part of *value* that has no form in RFC 8785, and why.

    Python's own JSON lets these parts through. A value that is nested too deep is reported as a
    whole. *sender* is the program that wrote the value, such as `the server`; None is a person.
    """
    problem = too_deep(value)
    return _unusable(value, (), sender) if problem is None else iter([((), problem)])


def _unusable(value: Json, path: _Path, sender: str | None) -> Iterator[tuple[_Path, str]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _unusable(key, path, sender)
            yield from _unusable(child, (*path, key), sender)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _unusable(child, (*path, index), sender)
    elif isinstance(value, str):
        if has_lone_surrogate(value):
            yield path, "the text holds a lone surrogate, which is not valid Unicode"
    elif isinstance(value, int | float) and (problem := _unusable_number(value, sender)):
        yield path, problem


def has_lone_surrogate(text: str) -> bool:
    """Return whether *text* holds half of a surrogate pair: JSON can spell it, and UTF-8 cannot."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def _unusable_number(value: float, sender: str | None) -> str | None:
    if isinstance(value, InexactNumber):
        return value.problem if sender is None else value.problem_of_answer(sender)
    if isinstance(value, float):
        return None if math.isfinite(value) else "infinity and NaN are not JSON numbers"
    value = normal_number(value)
    if isinstance(value, float) or abs(value) <= LARGEST_INTEGER:
        return None
    return f"the number is beyond {LARGEST_INTEGER}, where JSON numbers lose digits"


def read(text: str) -> Json:
    """Return the value of the JSON *text*, in its normal form.

    A number that JSON numbers cannot hold becomes an InexactNumber, which `unusable` reports.

    Raises:
        ValueError: *text* is not JSON; infinity and NaN are not.
        RepeatedMemberError: an object has two members of one name. Readers of JSON differ in which
            one counts.
        RecursionError: it is nested deeper than Python's stack allows.
    """
    value = json.loads(
        text,
        parse_int=read_number,
        parse_float=read_number,
        parse_constant=_refuse_constant,
        object_pairs_hook=_unique_members,
    )
    return value if too_deep(value) else normal(value)


class RepeatedMemberError(ValueError):
    """An object has two members called *name*."""

    def __init__(self, name: str) -> None:
        """Keep the name."""
        super().__init__(f"an object has two members '{shortened(name, _MAX_SHOWN)}'")
        self.name = name


def _unique_members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members: dict[str, Json] = {}
    for name, value in pairs:
        if name in members:
            raise RepeatedMemberError(name)
        members[name] = value
    return members


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def normal(value: Json) -> Json:
    """Return *value* in its normal form, in which values with one canonical form are alike.

    Each number has one type, and the members of an object are in the order of RFC 8785. So nothing
    that reads them in turn, such as `keys()`, distinguishes values with the same hash. *value* must
    not be nested too deep.
    """
    if isinstance(value, dict):
        return {key: normal(value[key]) for key in sorted(value, key=_utf_16)}
    if isinstance(value, list):
        return [normal(child) for child in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return value if isinstance(value, InexactNumber) else normal_number(value)


def _utf_16(key: str) -> bytes:
    return key.encode("utf-16-be", "surrogatepass")
