"""Scalars of YAML 1.2: what a text without quotes means (YAML 1.2.2, section 10.3.2).

PyYAML alone reads YAML 1.1, where `on` is true, `012` is ten and `1:30` is ninety.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from taskrunner.model.json_types import LARGEST_INTEGER

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_BASED_INTEGER: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# Python refuses to read integers of thousands of digits; one so long is out of range anyway.
_MAX_DIGITS: Final = 31

_NAMES: Final = {
    "null": "null",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
}


def core_value(text: str) -> Json:
    """Return the value of a plain scalar; infinity for a number that no double can hold."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= _MAX_DIGITS else math.inf
    if _BASED_INTEGER.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return math.inf if _NOT_FINITE.fullmatch(text) else text


def is_out_of_range(value: Json) -> bool:
    """Return whether *value* is a number without an exact form in JSON."""
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and abs(value) > LARGEST_INTEGER


def tag_name(tag: str) -> str | None:
    """Return what the core tag *tag* stands for in words; None for a tag that is not allowed."""
    return _NAMES.get(tag)


def fits_tag(value: Json, tag: str) -> bool:
    """Return whether *value* is what the core tag *tag* says: null, bool, int or float."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    match tag:
        case "null":
            return value is None
        case "bool":
            return isinstance(value, bool)
        case "int":
            return is_integer
        case _:
            return is_integer or isinstance(value, float)
