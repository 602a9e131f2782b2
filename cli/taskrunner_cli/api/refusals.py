"""Turns the API's error answers into the errors that end a command."""

import math
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from taskrunner_cli.errors import (
    PLAN_ERROR_CODES,
    CommandError,
    PlanError,
    RefusedError,
    RefusedPackError,
    UnreachableError,
)
from taskrunner_cli.json_text import JsonError, parse_json
from taskrunner_cli.json_types import JsonObject, JsonValue

BUSY_STATUSES: Final = frozenset({429, 502, 503, 504})
"""The HTTP statuses of a service that may answer when called again."""

PUT_OFF_STATUSES: Final = frozenset({429, 503})
"""The HTTP statuses that, with `Retry-After`, ask to repeat a request that has not begun."""


def refusal(
    response: httpx.Response, caller: str, now: datetime, *, is_person: bool = False
) -> CommandError:
    """Return the error for an error answer to *caller*, a client or the profile of a person.

    Plan errors take precedence over the envelope's message, because they say more. The answer of a
    proxy or a gateway has no envelope, so its message is made from its status.
    """
    answer = read_object(response)
    envelope = _object(answer.get("error"))
    status, code = response.status_code, _text(envelope.get("code"))
    trace_id = _text(envelope.get("traceId"))
    problems = _plan_errors(answer)
    if problems and (code in PLAN_ERROR_CODES or not code):
        return RefusedPackError(problems, status=status, code=code, trace_id=trace_id)
    if status in BUSY_STATUSES and not envelope:
        return UnreachableError(
            f"the service is not available (HTTP {status})", cure="try again later", code="busy"
        )
    message = _text(envelope.get("message")) or _text(answer.get("message"))
    return RefusedError(
        message or response.reason_phrase or f"the service answered HTTP {status}",
        status=status,
        code=code or f"http_{status}",
        trace_id=trace_id,
        cure=_cure(status, caller, is_person, retry_after_s(response, now))
        or _cure_of_missing(status, message),
    )


def read_object(response: httpx.Response) -> JsonObject:
    """Return the answer's JSON object; an empty one if the answer is anything else."""
    try:
        return _object(parse_json(response.content))
    except JsonError:
        return {}


def retry_after_s(response: httpx.Response, now: datetime) -> float | None:
    """Return the seconds to wait by the answer's `Retry-After` (RFC 9110, section 10.2.3).

    The header has seconds, or a date; None if it is absent or invalid, or the status is another
    than those that ask to wait.
    """
    value = response.headers.get("Retry-After", "").strip()
    if response.status_code not in PUT_OFF_STATUSES or not value:
        return None
    if value.isascii() and value.isdigit():
        return float(value)  # infinity for very many digits
    try:
        seconds = (parsedate_to_datetime(value) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):  # TypeError: a date without a time zone
        return None
    return max(seconds, 0.0)


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, Mapping) else {}


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def _cure(status: int, caller: str, is_person: bool, wait_s: float | None) -> str:  # noqa: FBT001
    """Return the hint for a refusal that is about the caller or the time; empty for any other."""
    match status:
        case httpx.codes.UNAUTHORIZED if is_person:
            return f"sign in again: taskrunner login --profile {caller}"
        case httpx.codes.FORBIDDEN if is_person:
            return "an administrator adds people to the groups that may do this"
        case httpx.codes.UNAUTHORIZED:
            return f"the API does not accept the token of {caller!r}; is the stack file current?"
        case httpx.codes.FORBIDDEN:
            return f"{caller!r} may not do this; choose another caller with --as"
        case _ if wait_s is not None and math.isfinite(wait_s):
            return f"repeat the command in {wait_s:.0f} s or later"
        case _:
            return ""


def _cure_of_missing(status: int, message: str) -> str:
    """Return where to find the ids of runs, if there is no run with the id that was given."""
    is_run = status == httpx.codes.NOT_FOUND and message.startswith("run ")
    return "list the runs of the tenant: taskrunner runs" if is_run else ""


def _plan_errors(answer: JsonObject) -> list[PlanError]:
    """Return the plan errors of an answer, without those that lack a path or a message."""
    errors = answer.get("errors")
    found: list[PlanError] = []
    for error in errors if isinstance(errors, list) else []:
        match error:
            case {"path": str(), "message": str()}:
                found.append(error)
    return found
