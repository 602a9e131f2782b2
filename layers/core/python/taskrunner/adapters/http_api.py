"""The edge of the API: answers API Gateway's proxy events by the routes of a function.

API Gateway has matched the route and run the authorizer. A request's handler is therefore found by
the event's `resource`, without a router. Every error becomes the contract's error envelope. An
unexpected exception becomes a 500 without details, and is logged with its traceback.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from taskrunner.adapters import authorizer_context, logs
from taskrunner.adapters.http_origins import origin_headers
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
    from collections.abc import Callable, Collection, Mapping

    from taskrunner.model.caller import Caller
    from taskrunner.model.json_types import JsonMapping
    from taskrunner.ports import Principals


class Operation(NamedTuple):
    """A route's parameters, and the function that answers it.

    *query* are the names of its query parameters, *members* those of the members of its body; None
    is for a route that takes no body. Requests with others are refused. A request without a body
    has no members, if *is_body_optional*.
    """

    answer: Callable[[Request], Response]
    query: Collection[str] = ()
    members: Collection[str] | None = None
    is_body_optional: bool = False


Routes: TypeAlias = "Mapping[tuple[str, str], Operation]"


def serve(
    event: JsonMapping,
    routes: Routes,
    principals: Principals | None,
    *,
    plans: bool = False,
) -> ProxyResponse:
    """Answer a proxy event by one of *routes*, which are keyed by method and resource.

    *principals* identifies callers in a deployment that admits AWS's signed requests. None means
    that callers have bearer tokens. *plans* is for routes that take a pack; see `error_response`.

    A 401 from here has no WWW-Authenticate header, because API Gateway would rename it. Its own 401
    has one, and all callers but those with an outdated token get that.
    """
    trace = str(event.get("requestContext", {}).get("requestId", ""))

    def identify(request_context: JsonMapping) -> Caller:
        if principals is not None:
            return principals.caller(request_context.get("identity") or {})
        return authorizer_context.from_request_context(request_context)

    try:
        request = read_request(event, identify)
        _check_scope(request)
        _log_ids(request)
        operation = routes[request.method, request.resource]
        request = request.accepting(
            operation.query, operation.members, is_body_optional=operation.is_body_optional
        )
        response = operation.answer(request)
    except TaskRunnerError as error:
        response = error_response(error, trace, plans=plans)
    except Exception:  # noqa: BLE001 - the caller must not see anything of a bug
        logger.exception("unexpected error", extra={"trace": trace})
        response = internal_error_response(trace)
    return response.to_proxy(origin_headers(event))


def _log_ids(request: Request) -> None:
    """Name the tenant and the step of the path in the log.

    A request whose tenant is wrong is refused by its operation.
    """
    if "stepId" in request.path:
        logs.add(step=request.path["stepId"])
    with suppress(TaskRunnerError):
        logs.add(tenant=request.tenant())


def _check_scope(request: Request) -> None:
    """Check the route's scope again, because API Gateway's policy has `*` for path parameters."""
    scope = SCOPES[Route(request.method, request.resource)]
    if not request.caller.may(scope):
        raise ForbiddenError("forbidden", f"this call needs the scope taskrunner.{scope}")
