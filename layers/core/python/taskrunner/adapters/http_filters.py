"""The query parameters that filter a list, as values."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

from taskrunner.errors import InvalidRequestError
from taskrunner.model import timestamp
from taskrunner.model.run import RunStatus
from taskrunner.model.run_filters import RunFilters
from taskrunner.model.wording import nearest, shortened

if TYPE_CHECKING:
    from enum import StrEnum

    from taskrunner.adapters.http_request import Request

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
_MAX_SHOWN_CHARACTERS: Final = 80

_Choice = TypeVar("_Choice", bound="StrEnum")


def run_filters(request: Request) -> RunFilters:
    """Return the filters of a list of runs.

    Raises:
        InvalidRequestError: a filter is malformed, or contradicts another one.
    """
    filters = RunFilters(
        status=choice(request, "status", RunStatus),
        pack=_text(request, "pack"),
        version=_text(request, "version"),
        requested_by=_text(request, "requestedBy"),
        approval=_text(request, "approval"),
        created_after=_time(request, "createdAfter"),
        created_before=_time(request, "createdBefore"),
    )
    if filters.version is not None and filters.pack is None:
        raise _invalid("version is one of a pack; send pack as well")
    after, before = filters.created_after, filters.created_before
    if after is not None and before is not None and after >= before:
        raise _invalid("createdAfter must be earlier than createdBefore")
    return filters


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


def _text(request: Request, name: str) -> str | None:
    text = request.parameter(name)
    if text == "":
        raise _invalid(f"{name} is empty; omit it to list all")
    if text is not None and any("\ud800" <= character <= "\udfff" for character in text):
        raise _invalid(f"{name} is not valid text: it holds a lone surrogate")
    return text


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
