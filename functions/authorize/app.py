"""API Gateway's authorizer: identifies the caller and allows the routes of its scopes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import authorizer_context
from taskrunner.adapters.identity import BadTokenError
from taskrunner.adapters.invocations import UnauthorizedError
from taskrunner.adapters.logs import logger
from taskrunner.model.access import routes

if TYPE_CHECKING:
    from taskrunner.adapters.identity import TokenAuthenticator

_PARAMETER = re.compile(r"\{[^}]*\}")

bootstrap.make_before_snapshot("authority", "clock")


@bootstrap.observed
def handler(
    event: dict[str, Any], _context: object, *, authority: TokenAuthenticator | None = None
) -> dict[str, Any]:
    """Return a policy of all routes of the caller's scopes, because API Gateway caches it."""
    authority = authority or bootstrap.aws().authority
    try:
        caller = authority.caller(_authorization(event))
    except BadTokenError as error:
        logger.info("refused", extra={"reason": str(error)})
        raise UnauthorizedError from None
    api = event["methodArn"].split("/", 2)
    base = "/".join(api[:2])
    allowed = [f"{base}/{method}{_PARAMETER.sub('*', path)}" for method, path in routes(caller)]
    return {
        "principalId": caller.subject,
        "policyDocument": {"Version": "2012-10-17", "Statement": [_statement(allowed, base)]},
        "context": authorizer_context.to_context(caller),
    }


def _authorization(event: dict[str, Any]) -> str:
    """Return the header. A TOKEN authorizer gets its value, a REQUEST authorizer all headers."""
    if "authorizationToken" in event:
        return str(event["authorizationToken"])
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    return str(headers.get("authorization", ""))


def _statement(allowed: list[str], base: str) -> dict[str, Any]:
    if not allowed:
        return {"Effect": "Deny", "Action": "execute-api:Invoke", "Resource": f"{base}/*"}
    return {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": allowed}
