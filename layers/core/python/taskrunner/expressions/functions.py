"""The functions of expressions, and JMESPath's equality, over JSON values and not over Python's.

Python writes 1e-7 as `1e-07`, reads `nan` and `1_000` as numbers, and holds `True` equal to 1. The
library does so too, deep in lists and objects. JSON does not, and neither do a template and a hash.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from jmespath import functions

from taskrunner.expressions.errors import ExpressionError
from taskrunner.expressions.text_functions import TextFunctions
from taskrunner.expressions.time_functions import TimeFunctions
from taskrunner.model.canonical_json import canonical_text
from taskrunner.model.json_numbers import is_whole
from taskrunner.model.json_types import unusable

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json

_NUMBER: Final = re.compile(r"\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\s*", re.ASCII)
_ANYTHING: Final[Any] = {"types": []}


class Functions(TextFunctions, TimeFunctions):
    """The library's functions, of which those that leave JSON are replaced, and our own."""

    @functions.signature(_ANYTHING)  # type: ignore[untyped-decorator]
    def _func_to_string(self, value: Json) -> str:
        """Return text as it is, and the canonical JSON of other values, as a template does."""
        if isinstance(value, str):
            return value
        for _, problem in unusable(value):
            raise ExpressionError(f"to_string() was given what is not JSON: {problem}")
        return canonical_text(value)

    @functions.signature(_ANYTHING)  # type: ignore[untyped-decorator]
    def _func_to_number(self, value: Json) -> Json:
        """Return a number as it is, the number that a text is, and null for everything else."""
        if isinstance(value, str) and _NUMBER.fullmatch(value) is None:
            return None
        return super()._func_to_number(value)

    @functions.signature({"types": ["array", "string"]}, _ANYTHING)  # type: ignore[untyped-decorator]
    def _func_contains(self, subject: Json, sought: Json) -> bool:
        if isinstance(subject, list):
            return any(equal(member, sought) for member in subject)
        return super()._func_contains(subject, sought)  # type: ignore[no-any-return]

    @functions.signature({"types": ["number"]})  # type: ignore[untyped-decorator]
    def _func_ceil(self, value: float) -> float:
        return value if is_whole(value) else math.ceil(value)

    @functions.signature({"types": ["number"]})  # type: ignore[untyped-decorator]
    def _func_floor(self, value: float) -> float:
        return value if is_whole(value) else math.floor(value)

    def call_function(self, name: str, arguments: list[Json]) -> Json:
        """Call a function.

        Raises:
            ExpressionError: its result is a number that is not one of JSON.
        """
        result = super().call_function(name, arguments)
        if isinstance(result, float) and not math.isfinite(result):
            raise ExpressionError(f"the result of {name}() is out of the range of numbers")
        if isinstance(result, int) and any(True for _ in unusable(result)):
            raise ExpressionError(f"the result of {name}() has more digits than a number keeps")
        return result


def equal(left: Json, right: Json) -> bool:
    """Return whether two values are the same JSON: `true` and 1 are not, also inside of others."""
    return bool(left == right) and _same_kinds(left, right)


def _same_kinds(left: Json, right: Json) -> bool:
    """Return whether booleans are in the same places of two values that are equal to Python."""
    pairs = [(left, right)]
    while pairs:
        left, right = pairs.pop()
        if isinstance(left, bool) != isinstance(right, bool):
            return False
        if isinstance(left, list):
            pairs += zip(left, right, strict=True)
        elif isinstance(left, dict):
            pairs += ((value, right[key]) for key, value in left.items())
    return True
