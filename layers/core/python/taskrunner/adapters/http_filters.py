"""The query parameters of lists and of a run's state, as values."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

from taskrunner.adapters.http_etags import known_tags
from taskrunner.errors import InvalidRequestError
from taskrunner.model import api_view, timestamp
from taskrunner.model.json_types import has_lone_surrogate
from taskrunner.model.run import RunStatus, StepStatus
from taskrunner.model.run_filters import RunFilters
from taskrunner.model.wording import nearest, shortened
from taskrunner.usecases.read_state import StateQuery

if TYPE_CHECKING:
    from enum import StrEnum

    from taskrunner.adapters.http_request import Request
    from taskrunner.model.journal import Position

RUN_FILTERS: Final = (
    "status",
    "pack",
    "version",
    "requestedBy",
    "approval",
    "createdAfter",
    "createdBefore",
)
# RFC 3339, section 5.6, in the years that sort as text.
_TIME: Final = re.compile(
    r"[1-9]\d{3}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
STATE_PARAMETERS: Final = ("parent", "status", "limit", "cursor", "since", "wait")
# API Gateway waits 29 s, and a large state takes some of them.
MAX_WAIT_S: Final = 20
_NEEDED: Final = {"status": "parent", "limit": "parent", "cursor": "parent", "wait": "since"}
_SINCE: Final = re.compile(r'(?:W/)?"?([0-9.]{1,19})(?:-[0-9a-z]{1,9})?"?')
_MAX_SHOWN_CHARACTERS: Final = 80

_Choice = TypeVar("_Choice", bound="StrEnum")


def run_filters(request: Request) -> RunFilters:
    """Return the filters of a list of runs.

    Raises:
        InvalidRequestError: a filter is malformed, or contradicts another one.
    """
    filters = RunFilters(
        status=choice(request, "status", RunStatus),
        pack=text(request, "pack"),
        version=text(request, "version"),
        requested_by=text(request, "requestedBy"),
        approval=text(request, "approval"),
        created_after=_time(request, "createdAfter"),
        created_before=_time(request, "createdBefore"),
    )
    if filters.version is not None and filters.pack is None:
        raise _invalid("version is one of a pack; send pack as well")
    after, before = filters.created_after, filters.created_before
    if after is not None and before is not None and after >= before:
        raise _invalid("createdAfter must be earlier than createdBefore")
    return filters


def state_query(request: Request, default_limit: int, max_limit: int) -> StateQuery:
    """Return what a request for the state of a run asks for.

    Raises:
        InvalidRequestError: a parameter is malformed, or lacks one that it belongs to.
    """
    for name, needed in _NEEDED.items():
        if request.parameter(name) is not None and request.parameter(needed) is None:
            raise _invalid(f"{name} is of use with {needed} only; send that as well")
    wait = request.parameter("wait")
    return StateQuery(
        parent=text(request, "parent"),
        status=choice(request, "status", StepStatus),
        limit=request.limit(max_limit) or default_limit,
        cursor=request.parameter("cursor"),
        known_tags=tags_of(request),
        since=_since(request),
        wait_s=MAX_WAIT_S if wait is None else _seconds(wait),
    )


def tags_of(request: Request) -> frozenset[str]:
    """Return the ETags of the request's If-None-Match."""
    return known_tags([request.headers.get("if-none-match") or ""])


def _since(request: Request) -> Position | None:
    text = request.parameter("since")
    if text is None:
        return None
    match = _SINCE.fullmatch(text)
    position = None if match is None else api_view.position(match[1])
    if position is None:
        raise _invalid("since is not the position or the ETag of a run's state")
    return position


def _seconds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,2}", text) or int(text) > MAX_WAIT_S:
        raise _invalid(f"wait is a number of seconds from 0 to {MAX_WAIT_S}")
    return int(text)


def choice(request: Request, name: str, choices: type[_Choice]) -> _Choice | None:
    """Return the query parameter *name*, which is one of *choices*; None if it is absent.

    Raises:
        InvalidRequestError: it is none of them.
    """
    text = request.parameter(name)
    if text is None:
        return None
    try:
        return choices(text)
    except ValueError:
        shown = shortened(text, _MAX_SHOWN_CHARACTERS)
        raise _invalid(f"{name} is unknown: '{shown}'{nearest(text, choices)}") from None


def text(request: Request, name: str) -> str | None:
    """Return the query parameter *name*; None if it is absent.

    Raises:
        InvalidRequestError: it is empty, or not valid Unicode.
    """
    value = request.parameter(name)
    if value == "":
        raise _invalid(f"{name} is empty; give it a value, or omit it")
    if value is not None and has_lone_surrogate(value):
        raise _invalid(f"{name} is not valid text: it holds a lone surrogate")
    return value


def _time(request: Request, name: str) -> str | None:
    text = request.parameter(name)
    if text is None:
        return None
    try:
        if _TIME.fullmatch(text):
            return timestamp.to_text(datetime.fromisoformat(text.upper()))
    except (ValueError, OverflowError):
        pass
    message = f"{name} is not a time with its zone, such as 2025-12-06T12:00:00Z"
    raise _invalid(message)


def _invalid(message: str) -> InvalidRequestError:
    return InvalidRequestError("invalid_request", message)
