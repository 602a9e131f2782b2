"""A caller of the API, whose requests reach the real handlers as API Gateway's events."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.api_schema import assert_conforms
from tests.template import routes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.machine.engine import Engine


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, checked against the API's document."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.body)


@dataclass
class Client:
    """A caller of the API, and what the authorizer says of them."""

    engine: Engine
    subject: str = "ana"
    scopes: str = "operator"
    tenants: str = "tenant-prod"
    grants: str = ""
    pools: str = ""

    def __call__(  # noqa: PLR0913 - a request has this many parts
        self,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401 - any JSON
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        raw: str | None = None,
    ) -> Answer:
        full = path if path.startswith("/") else f"/v1/task-runner/{path}"
        event = api_event(method, full, self, headers or {}, query or {})
        if body is not None or raw is not None:
            event["body"] = json.dumps(body) if raw is None else raw
            event["headers"].setdefault("content-type", "application/json")
        handler = self.engine.handler_of(method, event["resource"])
        reply = handler(event, LambdaContext())
        answer = Answer(reply["statusCode"], reply["headers"], reply["body"])
        assert_conforms(method, full, answer.status, answer.headers, answer.body)
        return answer


class LambdaContext:
    """The part of Lambda's context that the functions read."""

    aws_request_id = "6f1c"
    function_name = "a-function"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def api_event(
    method: str, path: str, client: Client, headers: Mapping[str, str], query: Mapping[str, str]
) -> dict[str, Any]:
    """API Gateway's proxy event (REST, version 1.0) of a request."""
    resource, parameters = route_of(method, path)
    return {
        "httpMethod": method,
        "path": path,
        "resource": resource,
        "pathParameters": parameters or None,
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": dict(query) or None,
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "authorizer": {
                "subject": client.subject,
                "scopes": client.scopes,
                "tenants": client.tenants,
                "grants": client.grants,
                "pools": client.pools,
            },
        },
        "body": None,
        "isBase64Encoded": False,
    }


def route_of(method: str, path: str) -> tuple[str, dict[str, str]]:
    """Return the template's resource for a path, and the values of its parameters."""
    for route_method, resource in routes():
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(resource))
        if route_method == method and (match := re.fullmatch(pattern, path)):
            return resource, match.groupdict()
    raise LookupError(f"no route for {method} {path}")
