"""Scalars of YAML 1.2: what a text without quotes means (YAML 1.2.2, section 10.3.2).

PyYAML alone reads YAML 1.1, where `on` is true, `012` is ten and `1:30` is ninety.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from taskrunner.model.json_numbers import (
    LARGEST_INTEGER,
    InexactNumber,
    is_whole,
    normal_number,
    read_number,
)

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_BASED_INTEGER: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NUMBERS_BEGIN: Final = "+-.0123456789"
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_NAMES: Final = {
    "null": "null",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
}


def core_value(text: str) -> Json:
    """Return the value of a plain scalar: an InexactNumber for a number that JSON cannot hold."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text[0] not in _NUMBERS_BEGIN:
        return text
    if _NUMBER.fullmatch(text):
        return read_number(text)
    if _BASED_INTEGER.fullmatch(text):
        return _based_integer(text)
    return InexactNumber.of(text, math.inf) if _NOT_FINITE.fullmatch(text) else text


def _based_integer(text: str) -> int | float:
    value = normal_number(int(text, 0))
    if isinstance(value, float) or abs(value) <= LARGEST_INTEGER:
        return value
    try:
        return InexactNumber.of(text, float(value))
    except OverflowError:
        return InexactNumber.of(text, math.inf)


def tag_name(tag: str) -> str | None:
    """Return what the core tag *tag* stands for in words; None for a tag that is not allowed."""
    return _NAMES.get(tag)


def fits_tag(value: Json, tag: str) -> bool:
    """Return whether *value* is what the core tag *tag* says: null, bool, int or float."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match tag:
        case "null":
            return value is None
        case "bool":
            return isinstance(value, bool)
        case "int":
            return is_number and is_whole(value)
        case _:
            return is_number
