"""The edge of the API: answers API Gateway's proxy events by the routes of a function.

API Gateway has matched the route and run the authorizer. A request's handler is therefore found by
the event's `resource`, without a router. Every error becomes the contract's error envelope. An
unexpected exception becomes a 500 without details, and is logged with its traceback.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from taskrunner.adapters import authorizer_context
from taskrunner.adapters.http_request import Request, read_request
from taskrunner.adapters.http_response import (
    ProxyResponse,
    Response,
    error_response,
    internal_error_response,
)
from taskrunner.adapters.logs import logger
from taskrunner.errors import ForbiddenError, TaskRunnerError
from taskrunner.model.access import SCOPES, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskrunner.model.caller import Caller
    from taskrunner.model.json_types import JsonMapping
    from taskrunner.ports import Principals

Routes: TypeAlias = "Mapping[tuple[str, str], Callable[[Request], Response]]"
_UNAUTHORIZED: Final = 401


def serve(
    event: JsonMapping, routes: Routes, principals: Principals | None, *, plans: bool = False
) -> ProxyResponse:
    """Answer a proxy event by one of *routes*, which are keyed by method and resource.

    *principals* identifies callers in a deployment that admits AWS's signed requests. None means
    that callers have bearer tokens. *plans* is for routes that take a pack; see `error_response`.
    """
    trace = str(event.get("requestContext", {}).get("requestId", ""))

    def identify(request_context: JsonMapping) -> Caller:
        if principals is not None:
            return principals.caller(request_context.get("identity") or {})
        return authorizer_context.from_request_context(request_context)

    try:
        request = read_request(event, identify)
        _check_scope(request)
        response = routes[request.method, request.resource](request)
    except TaskRunnerError as error:
        response = error_response(error, trace, plans=plans)
        if response.status == _UNAUTHORIZED:
            challenge = {"WWW-Authenticate": _authentication_scheme(principals)}
            response = replace(response, headers={**response.headers, **challenge})
    except Exception:  # noqa: BLE001 - the caller must not see anything of a bug
        logger.exception("unexpected error", extra={"trace": trace})
        response = internal_error_response(trace)
    return response.to_proxy()


def _check_scope(request: Request) -> None:
    """Check the route's scope again, because API Gateway's policy has `*` for path parameters."""
    scope = SCOPES[Route(request.method, request.resource)]
    if not request.caller.may(scope):
        raise ForbiddenError("forbidden", f"this call needs the scope taskrunner.{scope}")


def _authentication_scheme(principals: Principals | None) -> str:
    """Return how callers of this deployment authenticate (RFC 9110, section 11.6.1)."""
    return "Bearer" if principals is None else "AWS4-HMAC-SHA256"
