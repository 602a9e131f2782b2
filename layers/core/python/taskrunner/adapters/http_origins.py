"""The headers that let a page of another origin read an answer (Fetch, "CORS protocol").

API Gateway answers the question before a call (OPTIONS), and adds them to errors of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonMapping

# Values of the variable that are not an origin. API Gateway allows no empty value, and no "*".
_NONE: Final = "none"
_ANY: Final = "any"

# The headers that a page may read beyond those that Fetch always lets it read.
_EXPOSED: Final = "Allow, ETag, Location, Retry-After, X-Signature, X-TaskRunner-Cursor"


def origin_headers(event: JsonMapping) -> dict[str, str]:
    """Return the headers for pages of the allowed origin, which the stage's variable names.

    The origin is the deployment's and not the caller's, so answers do not vary with it. There are
    no headers if no origin is allowed.
    """
    origin = (event.get("stageVariables") or {}).get("AllowedOrigin", _NONE)
    if origin == _NONE:
        return {}
    return {
        "Access-Control-Allow-Origin": "*" if origin == _ANY else origin,
        "Access-Control-Expose-Headers": _EXPOSED,
    }
