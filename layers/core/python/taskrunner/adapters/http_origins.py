"""The headers that let a page of another origin read an answer (Fetch, "CORS protocol").

API Gateway answers the question before a call (OPTIONS), and adds them to errors of its own.
"""

from __future__ import annotations

from typing import Final

# What a page may read beyond the headers that Fetch always lets it read.
_EXPOSED: Final = "Allow, ETag, Location, Retry-After, X-Signature, X-TaskRunner-Cursor"


def headers(allowed_origin: str) -> dict[str, str]:
    """Return the headers for pages of *allowed_origin*; none if it is empty.

    The origin is the deployment's and not the caller's, so answers do not vary with it.
    """
    if not allowed_origin:
        return {}
    return {
        "Access-Control-Allow-Origin": allowed_origin,
        "Access-Control-Expose-Headers": _EXPOSED,
    }
