"""Cursors of lists: the place in an index where a page ended, as opaque text.

A cursor does not name the tenant. The tenant is always the caller's, so another tenant's cursor
leads to some place in the caller's own list.
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
    """An index with one partition for each tenant, by its two attributes."""

    tenant: str
    partition_attribute: str
    sort_attribute: str

    def cursor_of(self, last_key: Item | None) -> str | None:
        """Return the cursor of the page after *last_key*; None if that was the last key."""
        if last_key is None:
            return None
        run_id = last_key["pk"].split("#R#", 1)[1]
        text = json.dumps([run_id, last_key["sk"], last_key[self.sort_attribute]])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def key_of(self, cursor: str | None) -> Item | None:
        """Return the key after which the page of *cursor* starts; None for the first page.

        Raises:
            InvalidRequestError: no list has returned such a cursor.
        """
        if cursor is None:
            return None
        run_id, sk, sort = _decoded(cursor)
        return {
            "pk": run_partition(self.tenant, run_id),
            "sk": sk,
            self.partition_attribute: self.tenant,
            self.sort_attribute: sort,
        }


def _decoded(cursor: str) -> tuple[str, str, str]:
    padded = cursor[:_MAX_LENGTH] + "=" * (-len(cursor) % 4)
    try:
        parts = json.loads(base64.b64decode(padded.encode(), altchars=b"-_", validate=True))
        json.dumps(parts, ensure_ascii=False).encode()  # no key holds a lone surrogate
    except (ValueError, RecursionError):
        parts = None
    match parts:
        case [str(run_id), str(sk), str(sort)] if run_id and sk and sort:
            return run_id, sk, sort
    message = "cursor is not one that this list has returned; omit it to start over"
    raise InvalidRequestError("invalid_request", message)
