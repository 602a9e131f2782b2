"""Turns the API's error answers into the errors that end a command."""

from collections.abc import Mapping
from typing import Final, cast

import httpx

from taskrunner_cli.errors import (
    CommandError,
    PlanError,
    RefusedError,
    RefusedPackError,
    UnreachableError,
)
from taskrunner_cli.json_types import JsonObject, JsonValue

BUSY_STATUSES: Final = frozenset({429, 502, 503, 504})
"""The HTTP statuses of a service that may answer when called again."""


def refusal(response: httpx.Response, caller: str) -> CommandError:
    """Return the error for an error answer to *caller*.

    Plan errors take precedence over the envelope beside them, because they say more. The answer of
    a proxy or a gateway has neither, so its message is made from its status.
    """
    answer = read_object(response)
    envelope = _object(answer.get("error"))
    trace_id = str(envelope.get("traceId") or "")
    if problems := _plan_errors(answer):
        return RefusedPackError(problems, trace_id=trace_id)
    status = response.status_code
    if status in BUSY_STATUSES and not envelope:
        return UnreachableError(
            f"the service is not available (HTTP {status})", cure="try again later", code="busy"
        )
    message = envelope.get("message") or answer.get("message") or response.reason_phrase
    return RefusedError(
        str(message),
        status=status,
        code=str(envelope.get("code") or f"http_{status}"),
        trace_id=trace_id,
        cure=_cure(status, caller),
    )


def read_object(response: httpx.Response) -> JsonObject:
    """Return the answer's JSON object; an empty one if the answer is anything else."""
    try:
        return _object(response.json())
    except ValueError:
        return {}


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, Mapping) else {}


def _cure(status: int, caller: str) -> str:
    """Return the cure for a refusal that is about the caller; empty for any other."""
    match status:
        case httpx.codes.UNAUTHORIZED:
            return f"the API does not accept the token of {caller!r}; is the stack file current?"
        case httpx.codes.FORBIDDEN:
            return f"{caller!r} may not do this; choose another caller with --as"
        case _:
            return ""


def _plan_errors(answer: JsonObject) -> list[PlanError]:
    """Return the plan errors of an answer, without those that lack a path or a message."""
    errors = answer.get("errors")
    return [
        cast("PlanError", error)
        for error in (errors if isinstance(errors, list) else [])
        if isinstance(error, dict) and {"path", "message"} <= error.keys()
    ]
