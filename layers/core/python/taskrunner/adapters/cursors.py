"""Cursors of lists: where a page of an index ended, as opaque text.

A cursor names no tenant. The tenant comes from the caller each time, so that a cursor of another
tenant is at worst a strange place in one's own list.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final

from taskrunner.adapters.table import encoded
from taskrunner.errors import InvalidRequestError

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonMapping, JsonObject

_MAX_LENGTH: Final = 1024


def following(answer: JsonMapping) -> str | None:
    """The cursor behind a page of an index, or None behind the last."""
    key = answer.get("LastEvaluatedKey")
    if key is None:
        return None
    sort = next(value for name, value in key.items() if name.endswith("_sort"))
    run = key["pk"]["S"].split("#R#", 1)[1]
    text = json.dumps([run, key["sk"]["S"], sort["S"]])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def start(cursor: str | None, partition: tuple[str, str], sort: str) -> JsonObject:
    """The query argument that continues at *cursor* in the index partition `(attribute, tenant)`.

    Raises:
        InvalidRequestError: the cursor is none of ours.
    """
    if cursor is None:
        return {}
    attribute, tenant = partition
    run, sk, at = _decoded(cursor)
    key = {"pk": f"T#{tenant}#R#{run}", "sk": sk, attribute: tenant, sort: at}
    return {"ExclusiveStartKey": encoded(key)}


def _decoded(cursor: str) -> tuple[str, str, str]:
    padded = cursor[:_MAX_LENGTH] + "=" * (-len(cursor) % 4)
    try:
        parts = json.loads(base64.b64decode(padded.encode(), altchars=b"-_", validate=True))
        json.dumps(parts, ensure_ascii=False).encode()  # a lone surrogate is in no key
    except (ValueError, RecursionError):
        parts = None
    match parts:
        case [str(run), str(sk), str(at)] if run and sk and at:
            return run, sk, at
    message = "cursor is not one that this list has given out; leave it away to start anew"
    raise InvalidRequestError("invalid_request", message)
