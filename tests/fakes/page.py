"""Pages of lists in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.errors import InvalidRequestError
from taskrunner.ports.page import Page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskrunner.model.json_types import JsonObject


def page(
    rows: Mapping[str, JsonObject],
    keys: Sequence[str],
    limit: int,
    cursor: str | None,
    filters: str = "",
) -> Page:
    """The rows after the one that *cursor* names, in a list with *filters*."""
    after = None if cursor is None else cursor.removesuffix(filters)
    if after is not None and (after not in keys or f"{after}{filters}" != cursor):
        raise InvalidRequestError("invalid_request", "cursor is not one of this list")
    start = 0 if after is None else keys.index(after) + 1
    chosen = keys[start : start + limit]
    more = start + limit < len(keys)
    return Page([rows[key] for key in chosen], f"{chosen[-1]}{filters}" if more else None)
