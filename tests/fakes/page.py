"""Pages of lists in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.errors import InvalidRequestError
from taskrunner.ports.page import Page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskrunner.model.json_types import JsonObject


def page(
    rows: Mapping[str, JsonObject], keys: Sequence[str], limit: int, cursor: str | None
) -> Page:
    """The rows after the one that *cursor* names."""
    if cursor is not None and cursor not in keys:
        raise InvalidRequestError("invalid_request", "cursor is not one of this list")
    start = 0 if cursor is None else keys.index(cursor) + 1
    chosen = keys[start : start + limit]
    more = start + limit < len(keys)
    return Page([rows[key] for key in chosen], chosen[-1] if more else None)
