"""The edge of the API: API Gateway's proxy events in, answers in the contract's forms out.

API Gateway has matched the route and run the authorizer, so that a request is found by its
`resource`, and no router is needed. Every refusal is the error envelope; what nobody foresaw is a
500 that says nothing of its insides, and is logged with its traceback.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from dataclasses import dataclass
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
from taskrunner.model.access import SCOPES, Route
from taskrunner.model.caller import LEEWAY_S, Caller
from taskrunner.model.run import RUN_ID, RUN_ID_RULE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskrunner.model.json_types import Json, JsonMapping, JsonObject
    from taskrunner.ports import Principals

MAX_BODY_BYTES: Final = 1024 * 1024
_JSON: Final = "application/json"
_TENANT_HEADER: Final = "x-stellaops-tenant"
_STATUS_OF_CODE: Final = {
    "body_too_large": 413,
    "too_many_runs": 429,
    "unauthorized": 401,
}
_STATUS_OF_CLASS: Final = {
    InvalidRequestError: 400,
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
}
_HEADERS_OF_STATUS: Final = {
    429: {"Retry-After": "30"},
    503: {"Retry-After": "2"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that the authorizer let through; header names are in lower case."""

    method: str
    resource: str
    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw_body: str | bytes | None

    @property
    def tenant_header(self) -> str | None:
        """The tenant that the request chooses among the caller's."""
        return self.headers.get(_TENANT_HEADER)

    def tenant(self) -> str:
        """The tenant that the request is for."""
        return self.caller.tenant(self.tenant_header)

    def run_id(self) -> str:
        """The run that the path names.

        Raises:
            InvalidRequestError: no run can have such an id.
        """
        run_id = self.path["runId"]
        if not RUN_ID.fullmatch(run_id):
            raise InvalidRequestError("invalid_request", RUN_ID_RULE)
        return run_id

    def body(self) -> JsonObject:
        """The body as a JSON object.

        Raises:
            InvalidRequestError: wrong content type, too large, no JSON, or no object.
        """
        media_type = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if media_type != _JSON:
            given = f"not {media_type[:80]}" if media_type else "and the header is missing"
            message = f"Content-Type must be {_JSON}, {given}"
            raise InvalidRequestError("unsupported_media_type", message)
        raw = self.raw_body or ""
        content = raw.encode(errors="surrogatepass") if isinstance(raw, str) else raw
        if len(content) > MAX_BODY_BYTES:
            message = f"the body has {len(content)} bytes; at most {MAX_BODY_BYTES} are allowed"
            raise InvalidRequestError("body_too_large", message)
        try:
            # JSON is UTF-8 (RFC 8259, section 8.1); of bytes the library would also take UTF-16.
            document = json.loads(content.decode("utf-8-sig"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise InvalidRequestError("bad_json", f"the body is not JSON: {reason}") from None
        if not isinstance(document, dict):
            raise InvalidRequestError("invalid_request", "the body must be a JSON object")
        return document

    def limit(self, default: int | None, most: int) -> int | None:
        """The query's `limit`, from 1 to *most*."""
        text = self.query.get("limit")
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= most):  # noqa: PLR2004
            raise InvalidRequestError("invalid_request", f"limit is a number from 1 to {most}")
        return int(text)


def _refuse_constant(name: str) -> None:
    message = f"{name} is not JSON"
    raise ValueError(message)


def field(body: JsonMapping, name: str, kind: type, *, required: bool = False) -> Json:
    """The member *name* of a body, of *kind* `str` or `dict`; None when it is not there.

    Raises:
        InvalidRequestError: it is missing, or of another type.
    """
    value = body.get(name)
    if value is None:
        if required:
            raise InvalidRequestError("invalid_request", f"'{name}' is missing; it is required")
        if name in body:
            raise InvalidRequestError("invalid_request", f"'{name}' must not be null")
        return None
    if not isinstance(value, kind):
        wanted = "a text" if kind is str else "an object"
        raise InvalidRequestError("invalid_request", f"'{name}' must be {wanted}")
    if isinstance(value, str) and any("\ud800" <= one <= "\udfff" for one in value):
        raise InvalidRequestError("invalid_request", f"'{name}' holds a lone surrogate")
    return value


Answer: TypeAlias = "dict[str, Any]"
Routes: TypeAlias = "Mapping[tuple[str, str], Callable[[Request], Answer]]"


def serve(
    event: JsonMapping, routes: Routes, principals: Principals | None, *, plans: bool = False
) -> Answer:
    """Answer a proxy event by one of *routes*, keyed by method and resource.

    *principals* knows the callers of a deployment that AWS's signatures let in; None stands for one
    where the authorizer's tokens do.

    With *plans* a 400 is the contract's PlanErrorResponse, as it is wherever a pack is sent.
    """
    trace = str(event.get("requestContext", {}).get("requestId", ""))
    try:
        request = _request(event, principals)
        _check_scope(request)
        return routes[request.method, request.resource](request)
    except TaskRunnerError as error:
        refused = _refused(error, trace, plans=plans)
        if refused["statusCode"] == 401:  # noqa: PLR2004
            refused["headers"]["WWW-Authenticate"] = _scheme(principals)
        return refused
    except Exception:  # noqa: BLE001 - the last resort: nothing of it may reach the caller
        logger.exception("unexpected error", extra={"trace": trace})
        return _error(500, "internal_error", "An unexpected error occurred", trace)


def answer(status: int, document: Json, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON answer."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    # A message may quote what a caller sent; a lone surrogate in it could not leave the function.
    text = text.encode(errors="replace").decode()
    return {
        "statusCode": status,
        "headers": {"Content-Type": _JSON, "Cache-Control": "no-store", **(headers or {})},
        "body": text,
    }


def text_answer(media_type: str, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    """A 200 of another media type."""
    return {
        "statusCode": 200,
        "headers": {"Content-Type": media_type, "Cache-Control": "no-store", **(headers or {})},
        "body": text,
    }


def redirect(url: str) -> Answer:
    """A 302 to *url*, which nobody may keep: it is a key to what it points at."""
    return {
        "statusCode": 302,
        "headers": {"Location": url, "Cache-Control": "no-store"},
        "body": "",
    }


def _request(event: JsonMapping, principals: Principals | None) -> Request:
    raw_body = event.get("body")
    if raw_body is not None and event.get("isBase64Encoded"):
        try:
            raw_body = base64.b64decode(raw_body, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidRequestError("bad_json", "the body is not readable") from None
    headers = {str(name).lower(): value for name, value in (event.get("headers") or {}).items()}
    _check_tenant_header(event)
    return Request(
        method=event["httpMethod"],
        resource=event["resource"],
        caller=_caller(event.get("requestContext") or {}, principals),
        path=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
        headers=headers,
        raw_body=raw_body,
    )


def _scheme(principals: Principals | None) -> str:
    """How callers of this deployment prove who they are (RFC 9110, section 11.6.1)."""
    return "Bearer" if principals is None else "AWS4-HMAC-SHA256"


def _check_tenant_header(event: JsonMapping) -> None:
    """Refuse two tenants, in one spelling of the header's name or in several."""
    single, multiple = event.get("headers") or {}, event.get("multiValueHeaders") or {}
    given = {value for name, value in single.items() if name.lower() == _TENANT_HEADER}
    for name, values in multiple.items():
        given |= set(values) if name.lower() == _TENANT_HEADER else set()
    if len(given) > 1:
        message = "X-StellaOps-Tenant is given twice with different values; send one"
        raise InvalidRequestError("invalid_request", message)


def _check_scope(request: Request) -> None:
    """Hold the table of scopes here too: API Gateway's policy has `*` where a value stands."""
    scope = SCOPES[Route(request.method, request.resource)]
    if not request.caller.may(scope):
        raise ForbiddenError("forbidden", f"this call needs the scope taskrunner.{scope}")


def _caller(request_context: JsonMapping, principals: Principals | None) -> Caller:
    """The caller that API Gateway put into the request's context, in the deployment's one way."""
    if principals is not None:
        return principals.caller(request_context.get("identity") or {})
    context = request_context.get("authorizer") or {}
    if not context.get("subject"):
        raise InvalidRequestError("unauthorized", "the request has no checked token")
    # API Gateway keeps an authorizer's answer for minutes, also beyond the token's own end.
    expires_at = int(context["expires"]) if context.get("expires") else None
    at_ms = request_context.get("requestTimeEpoch") or time.time() * 1000
    if expires_at is not None and at_ms / 1000 >= expires_at + LEEWAY_S:
        raise InvalidRequestError("unauthorized", "the token has expired")
    return Caller(
        subject=context["subject"],
        scopes=frozenset(context.get("scopes", "").split()),
        tenants=tuple(context.get("tenants", "").split()),
        grants=frozenset(context.get("grants", "").split()),
        expires_at=expires_at,
    )


def caller_context(caller: Caller) -> dict[str, str]:
    """The reverse of `_caller`: an authorizer's context is text by text."""
    return {
        "subject": caller.subject,
        "scopes": " ".join(sorted(caller.scopes)),
        "tenants": " ".join(caller.tenants),
        "grants": " ".join(sorted(caller.grants)),
        "expires": "" if caller.expires_at is None else str(caller.expires_at),
    }


def _refused(error: TaskRunnerError, trace: str, *, plans: bool) -> Answer:
    if isinstance(error, InvalidPackError):
        found: list[JsonObject] = [
            {"path": one.path, "message": one.message} for one in error.diagnostics
        ]
        message = f"{len(found)} problem(s) in the pack or its inputs; see errors"
        return _error(400, error.code, message, trace, found if plans else None)
    if isinstance(error, TryAgainError):
        logger.warning("AWS has no room", extra={"trace": trace, "reason": str(error)})
        return _error(503, "try_again", "The service is busy; try again.", trace)
    code = getattr(error, "code", "invalid_request")
    status = _STATUS_OF_CODE.get(code) or _STATUS_OF_CLASS[type(error)]
    problems = [{"path": "$", "message": str(error)}] if plans and status == 400 else None  # noqa: PLR2004
    return _error(status, code, str(error), trace, problems)


def _error(
    status: int, code: str, message: str, trace: str, problems: list[JsonObject] | None = None
) -> Answer:
    logger.info("refused", extra={"status": status, "code": code, "trace": trace})
    body: JsonObject = {"error": {"code": code, "message": message, "traceId": trace}}
    if problems is not None:
        body["errors"] = problems
    return answer(status, body, _HEADERS_OF_STATUS.get(status))
