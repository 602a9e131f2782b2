"""Cursors of lists: the place in an index where a page ended, as opaque text.

A cursor does not name the tenant. The tenant is always the caller's, so another tenant's cursor
leads to some place in the caller's own list. A cursor of a list with filters names these by their
digest, because its place means nothing in another list.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.adapters.table_layout import run_partition
from taskrunner.errors import InvalidRequestError

if TYPE_CHECKING:
    from taskrunner.adapters.table_requests import Item

_MAX_LENGTH: Final = 1024


class TenantIndex(NamedTuple):
    """A partition of an index that has entries of one tenant only, and its two attributes.

    The *partition* is the tenant's name if it is None. *filters* is the digest of the list's
    filters, and empty if it has none.
    """

    tenant: str
    partition_attribute: str
    sort_attribute: str
    partition: str | None = None
    filters: str = ""

    def cursor_of(self, last_key: Item | None) -> str | None:
        """Return the cursor of the page after *last_key*; None if that was the last key."""
        if last_key is None:
            return None
        run_id = last_key["pk"].split("#R#", 1)[1]
        parts = [run_id, last_key["sk"], last_key[self.sort_attribute], self.filters]
        text = json.dumps(parts if self.filters else parts[:-1])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def key_of(self, cursor: str | None) -> Item | None:
        """Return the key after which the page of *cursor* starts; None for the first page.

        Raises:
            InvalidRequestError: no list with these filters has returned such a cursor.
        """
        if cursor is None:
            return None
        run_id, sk, sort, filters = _decoded(cursor)
        if filters != self.filters:
            message = "cursor is of a list with other filters; omit it to start over"
            raise InvalidRequestError("invalid_request", message)
        return {
            "pk": run_partition(self.tenant, run_id),
            "sk": sk,
            self.partition_attribute: self.partition or self.tenant,
            self.sort_attribute: sort,
        }


def _decoded(cursor: str) -> tuple[str, str, str, str]:
    padded = cursor[:_MAX_LENGTH] + "=" * (-len(cursor) % 4)
    try:
        parts = json.loads(base64.b64decode(padded.encode(), altchars=b"-_", validate=True))
        json.dumps(parts, ensure_ascii=False).encode()  # no key holds a lone surrogate
    except (ValueError, RecursionError):
        parts = None
    match parts:
        case [str(run_id), str(sk), str(sort)] if run_id and sk and sort:
            return run_id, sk, sort, ""
        case [str(run_id), str(sk), str(sort), str(filters)] if run_id and sk and sort and filters:
            return run_id, sk, sort, filters
    raise unknown_cursor()


def unknown_cursor() -> InvalidRequestError:
    """Return the error of a request with a cursor that no list has returned."""
    message = "cursor is not one that this list has returned; omit it to start over"
    return InvalidRequestError("invalid_request", message)
