"""Numbers of JSON: one value in memory for each number that RFC 8785 writes in one way.

`2`, `2.0` and `2e0` are one number, and so are `0` and `-0.0`. Python keeps them apart, and then
`'v{{ inputs.n }}'` would be two texts for one plan hash. So each number is brought into one form
where it comes in: an int when it is whole and a double holds all integers up to it, else a float.
"""

from __future__ import annotations

import math
import re
from typing import Final

import rfc8785

# A double holds every integer up to here exactly; RFC 8785 has no form for a larger Python int.
LARGEST_INTEGER: Final = 2**53 - 1

_NUMBER: Final = re.compile(r"[-+]?(?P<whole>[0-9]*)\.?(?P<part>[0-9]*)(?:[eE](?P<power>.+))?")
# Every decimal number of 15 digits survives the way into a double and back.
_SAFE_CHARACTERS: Final = 15
_MAX_SHOWN: Final = 40


class InexactNumber(float):
    """The double nearest to a number that no double holds, with the number as it was *written*."""

    written: str

    @classmethod
    def of(cls, written: str, value: float) -> InexactNumber:
        """Return *value* as what is left of *written*."""
        number = cls(value)
        number.written = written
        return number

    @property
    def problem(self) -> str:
        """The fault of the number, and the form that its author should write instead."""
        if not math.isfinite(self):
            return f"{self._fault}; quote it if it is meant as text"
        return f"{self._fault}; write {self._kept}, or quote it if it is meant as text"

    def problem_of_answer(self, sender: str) -> str:
        """Return the fault of the number, and the form that its *sender* must use instead."""
        return f"{self._fault}; {sender} must send it as text, in quotes"

    @property
    def _fault(self) -> str:
        is_long = len(self.written) > _MAX_SHOWN
        shown = f"{self.written[:_MAX_SHOWN]}..." if is_long else self.written
        if not math.isfinite(self):
            return f"the number {shown} is out of range"
        return f"the number {shown} would be rounded to {self._kept}"

    @property
    def _kept(self) -> str:
        return rfc8785.dumps(float(self)).decode()


def read_number(written: str) -> int | float:
    """Return the decimal number *written*, as JSON or YAML write one.

    A number that would not be written back as the same number is an InexactNumber.
    """
    if len(written) <= _SAFE_CHARACTERS and written.lstrip("+-").isdigit():
        return int(written)
    value = float(written)
    if not math.isfinite(value) or _digits(written) != _digits(repr(value)):
        return InexactNumber.of(written, value)
    return normal_number(value)


def normal_number(value: float) -> int | float:
    """Return the one form of *value*, which may also be an int."""
    if isinstance(value, float):
        is_int = value.is_integer() and abs(value) <= LARGEST_INTEGER
        return int(value) if is_int else value
    if abs(value) <= LARGEST_INTEGER:
        return value
    return _large(value)


def is_whole(value: float) -> bool:
    """Return whether *value* is a whole number, in whatever form."""
    return isinstance(value, int) or value.is_integer()


def _large(value: int) -> int | float:
    """Return *value* as a float that is written back as the same number; else *value* itself."""
    try:
        nearest = float(value)
    except OverflowError:
        return value
    return nearest if _digits(str(value)) == _digits(repr(nearest)) else value


def _digits(written: str) -> tuple[str, int]:
    """Return the digits of a number without zeros at their ends, and the power of ten of the last.

    Two numbers have the same digits and power exactly when they are the same, but for their sign.
    """
    match = _NUMBER.fullmatch(written)
    assert match is not None  # noqa: S101 - float() has read it
    whole, part, power = match["whole"], match["part"], match["power"] or "0"
    digits = (whole + part).lstrip("0")
    stripped = digits.rstrip("0")
    if not stripped:
        return "", 0
    # Without its leading zeros: Python refuses to read an integer of thousands of digits.
    exponent = int(power.lstrip("+-").lstrip("0") or "0")
    exponent = -exponent if power.startswith("-") else exponent
    return stripped, exponent - len(part) + len(digits) - len(stripped)
