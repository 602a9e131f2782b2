"""Say whether a change window is open: an example of a function that packs call.

For a step with `uses: lambda:change-window` it returns `{open, environment, at, window}`, for a
policy that uses it `{passed, failures}`. Its parameters, under `with`:

* environment: what is about to be changed
* at: the time to judge, in RFC 3339; without it, the time when the function is called, so that a
  run that waited for an approval is judged when it goes on
* windows: when changes are allowed, a list of `{environment, days, from, to}` in UTC. A window
  without an environment is for all of them, one without days for every day. A window that ends at
  or before its beginning ends on the next day, and belongs to the day on which it begins.

It keeps nothing and changes nothing, so it can ignore `idempotencyKey`. A function with side
effects uses the key: it acts once per key, and repeats its first answer afterwards.

An exception fails the step, with the exception's name and message.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}")


class BadParametersError(Exception):
    """The parameters are not what this function takes; the message says which."""


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def handler(
    event: dict[str, Any],
    context: object,  # noqa: ARG001 - Lambda's signature
    now: Callable[[], datetime] = utc_now,
) -> dict[str, Any]:
    """Answer one step, or one policy gate if the event names a policy."""
    parameters = event["with"]
    _refuse_unknown(parameters, {"environment", "at", "windows"}, "with")
    environment, windows = parameters.get("environment"), parameters.get("windows")
    if not isinstance(environment, str) or not environment:
        raise BadParametersError("'environment' is missing; name what is about to be changed")
    if not isinstance(windows, list):
        raise BadParametersError(
            "'windows' is missing; write a list of {environment, days, from, to}"
        )
    at = _time_with_offset(parameters["at"]) if "at" in parameters else now()
    open_windows = [window for window in windows if _is_open(window, environment, at)]
    at_text = at.isoformat(timespec="seconds").replace("+00:00", "Z")
    if "policy" in event:
        message = f"no change window of {environment} is open at {at_text}"
        failures = [] if open_windows else [{"id": "change-window", "message": message}]
        return {"passed": not failures, "failures": failures}
    window = open_windows[0] if open_windows else None
    return {
        "open": window is not None,
        "environment": environment,
        "at": at_text,
        "window": window,
    }


def _is_open(window: object, environment: str, at: datetime) -> bool:
    if not isinstance(window, dict):
        raise BadParametersError("a window must be an object of environment, days, from and to")
    _refuse_unknown(window, {"environment", "days", "from", "to"}, "a window")
    days = window.get("days", list(DAYS))
    if not isinstance(days, list) or not all(day in DAYS for day in days):
        raise BadParametersError(f"'days' must be a list of {', '.join(DAYS)}")
    opens = _time_of_day(window.get("from"), "from")
    closes = _time_of_day(window.get("to"), "to")
    if window.get("environment", environment) != environment:
        return False
    # The window may have begun on the day before.
    return any(
        DAYS[day.weekday()] in days and _start(day, opens) <= at < _end(day, opens, closes)
        for day in (at, at - timedelta(days=1))
    )


def _start(day: datetime, opens: time) -> datetime:
    return datetime.combine(day.date(), opens, UTC)


def _end(day: datetime, opens: time, closes: time) -> datetime:
    end = datetime.combine(day.date(), closes, UTC)
    return end if closes > opens else end + timedelta(days=1)


def _time_with_offset(text: object) -> datetime:
    message = "'at' must be a time with its offset, such as 2026-03-10T14:30:00Z"
    if not isinstance(text, str) or _RFC_3339.fullmatch(text) is None:
        raise BadParametersError(message)
    try:
        at = datetime.fromisoformat(text.upper()).astimezone(UTC)
        _ = at - timedelta(days=2), at + timedelta(days=2)  # raises at the ends of the calendar
    except (OverflowError, ValueError):
        raise BadParametersError(message) from None
    return at


def _time_of_day(text: object, name: str) -> time:
    if isinstance(text, str) and _TIME.fullmatch(text):
        with suppress(ValueError):
            return time.fromisoformat(text)
    raise BadParametersError(f"'{name}' must be a time of the day, such as 09:00")


def _refuse_unknown(value: dict[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(value.keys() - known):
        raise BadParametersError(
            f"{where} has an unknown key '{unknown[0]}'; use {', '.join(sorted(known))}"
        )
