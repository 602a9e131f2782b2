"""A caller as the text values that API Gateway hands from the authorizer to a function."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from taskrunner.errors import InvalidRequestError
from taskrunner.model.caller import LEEWAY_S, Caller

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonMapping


def to_context(caller: Caller) -> dict[str, str]:
    """Return *caller* as an authorizer's context, which holds only text."""
    return {
        "subject": caller.subject,
        "scopes": " ".join(sorted(caller.scopes)),
        "tenants": " ".join(caller.tenants),
        "grants": " ".join(sorted(caller.grants)),
        "name": caller.name or "",
        "pools": " ".join(sorted(caller.pools)),
        "expires": "" if caller.expires_at is None else str(caller.expires_at),
    }


def from_request_context(request_context: JsonMapping) -> Caller:
    """Return the caller whom the authorizer put into a request's context.

    Raises:
        InvalidRequestError: `unauthorized`: no authorizer ran, or its token has expired. API
            Gateway caches an authorizer's answer for minutes, even beyond the end of the token.
    """
    context = request_context.get("authorizer") or {}
    if not context.get("subject"):
        raise InvalidRequestError("unauthorized", "the request has no checked token")
    expires_at = int(context["expires"]) if context.get("expires") else None
    requested_at_ms = request_context.get("requestTimeEpoch") or time.time() * 1000
    if expires_at is not None and requested_at_ms / 1000 >= expires_at + LEEWAY_S:
        raise InvalidRequestError("unauthorized", "the token has expired")
    return Caller(
        subject=context["subject"],
        scopes=frozenset(context.get("scopes", "").split()),
        tenants=tuple(context.get("tenants", "").split()),
        grants=frozenset(context.get("grants", "").split()),
        expires_at=expires_at,
        name=context.get("name") or None,
        pools=frozenset(context.get("pools", "").split()),
    )
