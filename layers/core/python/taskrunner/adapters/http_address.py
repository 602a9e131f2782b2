"""The address at which a client has reached the API, for the URLs in responses.

A deployment has several addresses: the stage is part of the path at execute-api and not at a custom
domain, which may have a base path instead. Only a request knows which of them its client uses, so
no function is configured with one. This module imports nothing large.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonMapping

_AUTHORITY: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_SCHEMES: Final = frozenset({"http", "https"})


def base_url(event: JsonMapping) -> str:
    """Return the API's base URL for the client of a proxy event, without a slash at its end.

    It is a path when the event does not name a host. Such a path is a URL reference too (RFC 3986,
    section 4.2), and resolves against the URL of the request.
    """
    path = _base_path(event)
    context = event.get("requestContext") or {}
    headers = {str(name).lower(): text for name, text in (event.get("headers") or {}).items()}
    for authority in (headers.get("host"), context.get("domainName")):
        if isinstance(authority, str) and _AUTHORITY.fullmatch(authority):
            scheme = headers.get("x-forwarded-proto")
            return f"{scheme if scheme in _SCHEMES else 'https'}://{authority}{path}"
    return path


def _base_path(event: JsonMapping) -> str:
    """Return the stage or the base path: the path that the client sent, without the resource's."""
    resource = str(event.get("resource") or "")
    sent = str((event.get("requestContext") or {}).get("path") or "").rstrip("/")
    segments = [] if "+}" in resource else sent.split("/")
    # A parameter stands for one segment, so the resource's path is as many segments at the end.
    return "/".join(segments[: len(segments) - resource.rstrip("/").count("/")])
