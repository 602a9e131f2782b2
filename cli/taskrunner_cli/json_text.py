"""Reads JSON text strictly: no number changes its value, and no depth exhausts the stack.

Python's parser accepts NaN and Infinity, which RFC 8259 does not have. It turns 1e400 into infinity
and rounds 9007199254740993.0, both of which nobody wrote.
"""

import json
import math
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Final, NoReturn

from taskrunner_cli.json_types import JsonValue

MAX_DEPTH: Final = 100
_MAX_DIGITS: Final = 400  # more than the digits of the largest double


class JsonError(ValueError):
    """The text is not JSON."""


class JsonLimitError(JsonError):
    """The text is JSON, but nested too deeply, or with two members of one name."""


class JsonNumberError(JsonLimitError):
    """The text is JSON, but a number in it cannot be kept."""


def parse_json(text: str | bytes, *, exact: bool = False) -> JsonValue:
    """Return the value that *text* has; bytes are UTF-8, with or without a byte order mark.

    Args:
        text: the JSON text.
        exact: whether a number that a double would round, and two members of one name in an
            object, are errors too.

    Raises:
        JsonNumberError: a number is out of range, or would be rounded.
        JsonLimitError: the depth exceeds MAX_DEPTH, or an object has two members of one name.
        JsonError: it is not JSON.

    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        value: JsonValue = json.loads(
            text,
            parse_constant=_reject_constant,
            parse_float=partial(_parse_float, exact=exact),
            parse_int=_parse_int,
            object_pairs_hook=_unique_members if exact else None,
        )
    except JsonNumberError:
        if not _is_json(text):  # like 1e400-x, which begins with a number and is text
            raise JsonError("it begins with a number and goes on") from None
        raise
    except JsonError:
        raise
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError as error:
        raise JsonError(f"it is not UTF-8 at byte {error.start + 1}") from error
    except ValueError as error:
        raise JsonError(str(error)) from error
    if _is_deeper_than(value, MAX_DEPTH):
        raise _too_deep()
    return value


def _is_json(text: str | bytes) -> bool:
    try:
        json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return True


def _reject_constant(constant: str) -> NoReturn:
    raise JsonError(f"{constant} is not JSON")


def _unique_members(members: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    """Return an object; readers of JSON differ in which of two members of one name counts."""
    found: dict[str, JsonValue] = {}
    for name, value in members:
        if name in found:
            shown = name if len(name) <= 40 else name[:37] + "..."  # noqa: PLR2004 -- half a line
            raise JsonLimitError(f"an object in it has two members '{shown}'; keep one")
        found[name] = value
    return found


def _parse_float(digits: str, *, exact: bool) -> float:
    number = float(digits)
    if math.isinf(number) or (exact and _is_rounded(digits, number)):
        raise _out_of_range(digits)
    return number


def _is_rounded(digits: str, number: float) -> bool:
    """Return whether the shortest text of *number* means another number than *digits*."""
    try:
        return _is_long(digits) or Decimal(digits) != Decimal(repr(number))
    except InvalidOperation:  # an exponent far below that of the smallest double
        return True


def _parse_int(digits: str) -> int:
    if _is_long(digits):
        raise _out_of_range(digits)
    return int(digits)


def _is_long(digits: str) -> bool:
    return len(digits) > _MAX_DIGITS


def _out_of_range(digits: str) -> JsonNumberError:
    shown = digits if len(digits) <= 40 else digits[:37] + "..."  # noqa: PLR2004 -- half a line
    return JsonNumberError(f"the number {shown} cannot be kept exactly")


def _too_deep() -> JsonLimitError:
    return JsonLimitError(f"it is nested deeper than {MAX_DEPTH} levels")


def _is_deeper_than(value: JsonValue, depth: int) -> bool:
    """Return whether lists and objects are nested deeper than *depth*, without recursion."""
    level = [value]
    for _ in range(depth):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return False
    return True


def _children(value: JsonValue) -> list[JsonValue]:
    """Return the members of *value* that may have members themselves."""
    members = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(members, list):
        return []
    return [member for member in members if isinstance(member, dict | list)]
