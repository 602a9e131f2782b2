"""Responses of the API, in the forms of its contract."""

from __future__ import annotations

import json
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from taskrunner.adapters.logs import logger
from taskrunner.errors import (
    ConflictError,
    ForbiddenError,
    InvalidPackError,
    InvalidRequestError,
    NotFoundError,
    TaskRunnerError,
    TryAgainError,
)
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskrunner.model.json_types import Json, JsonObject

_BAD_REQUEST: Final = 400
_STATUS_OF_CODE: Final = {
    "body_too_large": 413,
    "machine_quota_reached": 503,
    "too_many_runs": 429,
    "unauthorized": 401,
}
_STATUS_OF_CLASS: Final = {
    InvalidRequestError: _BAD_REQUEST,
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
}
_HEADERS_OF_STATUS: Final = {
    429: {"Retry-After": "30"},
    503: {"Retry-After": "2"},
}
_HEADERS_OF_CODE: Final = {"machine_quota_reached": {"Retry-After": "300"}}

# The form in which API Gateway takes a response from a function.
ProxyResponse: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response, which nobody may cache."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_proxy(self, headers: Mapping[str, str] | None = None) -> ProxyResponse:
        """Return it for API Gateway, with *headers* in addition to its own."""
        return {
            "statusCode": self.status,
            "headers": {
                "Cache-Control": "no-store",
                **(headers or {}),
                **self.headers,
            },
            "body": self.body,
        }


def json_response(
    status: int, document: Json, headers: Mapping[str, str] | None = None
) -> Response:
    """Respond with a JSON document."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    # A message may quote a lone surrogate from the request, which Lambda could not encode.
    text = text.encode(errors="replace").decode()
    return text_response("application/json", text, headers, status=status)


def text_response(
    media_type: str, text: str, headers: Mapping[str, str] | None = None, *, status: int = 200
) -> Response:
    """Respond with a text of any media type."""
    return Response(
        status=status, body=text, headers={"Content-Type": media_type, **(headers or {})}
    )


def redirect_response(url: str) -> Response:
    """Respond with a redirect (302) to *url*."""
    return Response(status=302, headers={"Location": url})


def error_response(error: TaskRunnerError, trace: str, *, plans: bool) -> Response:
    """Respond to a request that failed with *error*.

    With *plans* a 400 is the contract's PlanErrorResponse, which lists every problem of the pack.
    """
    if isinstance(error, InvalidPackError):
        problems = [{"path": found.path, "message": found.message} for found in error.diagnostics]
        message = f"{len(problems)} problem(s) in the pack or its inputs; see errors"
        return _envelope(_BAD_REQUEST, error.code, message, trace, problems if plans else None)
    if isinstance(error, TryAgainError):
        logger.warning("AWS is too busy", extra={"trace": trace, "reason": str(error)})
        return _envelope(503, "try_again", "The service is busy; try again.", trace)
    code = getattr(error, "code", "invalid_request")
    status = _STATUS_OF_CODE.get(code) or _STATUS_OF_CLASS[type(error)]
    lists_problems = plans and status == _BAD_REQUEST
    problem = {"path": "$", "message": str(error)}
    listed = [problem] if lists_problems else None
    details = getattr(error, "details", None)
    return _envelope(status, code, str(error), trace, listed, details)


def internal_error_response(trace: str) -> Response:
    """Respond to a request that met a bug, without any detail of it."""
    return _envelope(500, "internal_error", "An unexpected error occurred", trace)


def _envelope(  # noqa: PLR0913, PLR0917 - an error has this many parts
    status: int,
    code: str,
    message: str,
    trace: str,
    problems: Sequence[JsonObject] | None = None,
    details: JsonObject | None = None,
) -> Response:
    logger.info("refused", extra={"status": status, "code": code, "trace": trace})
    body: JsonObject = {"error": {"code": code, "message": message, "traceId": trace}}
    if details is not None:
        body["error"]["details"] = details
    if problems is not None:
        body["errors"] = problems
    headers = _HEADERS_OF_CODE.get(code) or _HEADERS_OF_STATUS.get(status)
    return json_response(status, body, headers)
