"""Functions of the pack language that work on times: texts as RFC 3339 has them.

A result is in UTC with milliseconds, like `run.createdAt`, so that two of them compare as texts.
The names of months and days are English, and no locale or time zone of the machine is read.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from jmespath import functions

from taskrunner.expressions.errors import ExpressionError
from taskrunner.model import timestamp
from taskrunner.model.wording import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TEXT: Final[Any] = {"types": ["string"]}
_NUMBER: Final[Any] = {"types": ["number"]}
# RFC 3339, section 5.6; Python takes more.
_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_FIELD: Final = re.compile(r"%(.?)", re.DOTALL)
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The fields of strftime that `format_time` knows.
FIELDS: Final[Mapping[str, Callable[[datetime], str]]] = {
    "Y": lambda time: f"{time.year:04}",
    "y": lambda time: f"{time.year % 100:02}",
    "m": lambda time: f"{time.month:02}",
    "B": lambda time: _MONTHS[time.month - 1],
    "b": lambda time: _MONTHS[time.month - 1][:3],
    "d": lambda time: f"{time.day:02}",
    "j": lambda time: f"{time.timetuple().tm_yday:03}",
    "A": lambda time: _DAYS[time.weekday()],
    "a": lambda time: _DAYS[time.weekday()][:3],
    "u": lambda time: str(time.isoweekday()),
    "G": lambda time: f"{time.isocalendar().year:04}",
    "V": lambda time: f"{time.isocalendar().week:02}",
    "H": lambda time: f"{time.hour:02}",
    "M": lambda time: f"{time.minute:02}",
    "S": lambda time: f"{time.second:02}",
    "f": lambda time: f"{time.microsecond:06}",
    "F": lambda time: f"{time.year:04}-{time.month:02}-{time.day:02}",
    "T": lambda time: f"{time.hour:02}:{time.minute:02}:{time.second:02}",
    "s": lambda time: str((time - _EPOCH) // timedelta(seconds=1)),
    "z": lambda _: "+0000",
    "Z": lambda _: "UTC",
    "%": lambda _: "%",
}
_MAX_SHOWN: Final = 10


class TimeFunctions(functions.Functions):  # type: ignore[misc]  # the library is untyped
    """format_time, time_add and time_diff."""

    @functions.signature(_TEXT, _TEXT)  # type: ignore[untyped-decorator]
    def _func_format_time(self, time: str, form: str) -> str:
        """Write *time* in UTC, in the form that *form* gives by fields of strftime."""
        utc = _read("format_time", time)
        return _FIELD.sub(lambda field: _field(field[1])(utc), form)

    @functions.signature(_TEXT, _NUMBER)  # type: ignore[untyped-decorator]
    def _func_time_add(self, time: str, seconds: float) -> str:
        """Return the time so many *seconds* after *time*, or before it if they are negative."""
        try:
            return timestamp.to_text(_read("time_add", time) + timedelta(seconds=seconds))
        except OverflowError:
            raise ExpressionError("time_add() gives a time out of the years 1 to 9999") from None

    @functions.signature(_TEXT, _TEXT)  # type: ignore[untyped-decorator]
    def _func_time_diff(self, time: str, subtracted: str) -> float:
        """Return the seconds from the second time to the first: `time - subtracted`."""
        difference = _read("time_diff", time) - _read("time_diff", subtracted)
        return difference.total_seconds()


def check_form(form: str) -> None:
    """Check the form of a time.

    Raises:
        ExpressionError: `format_time` does not know one of its fields.
    """
    for field in _FIELD.finditer(form):
        _field(field[1])


def _read(function: str, text: str) -> datetime:
    """Read a time; digits below a microsecond are cut."""
    if _TIME.fullmatch(text) is not None:
        with suppress(ValueError, OverflowError):  # such as the 31st of February
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    raise ExpressionError(
        f"{function}() was given a text that is not a time; write it as RFC 3339 does, such as "
        "2026-01-31T08:00:00Z"
    )


def _field(name: str) -> Callable[[datetime], str]:
    if name not in FIELDS:
        known = " ".join(f"%{name}" for name in FIELDS)
        shown = shortened(f"%{name}", _MAX_SHOWN)
        raise ExpressionError(f"format_time() knows no field '{shown}'; it knows {known}")
    return FIELDS[name]
