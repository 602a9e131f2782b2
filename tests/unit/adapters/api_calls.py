"""Requests to the functions of the API, as API Gateway hands them over, and their answers."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

from taskrunner.adapters.authorizer_context import to_context
from taskrunner.model.caller import Caller
from tests.api_schema import assert_conforms
from tests.fakes.world import MemoryWorld
from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE = "/v1/task-runner"
RUNS = f"{BASE}/runs"
JSON = {"content-type": "application/json"}
PLAIN = pack("- {id: ship, run: {uses: builtin:noop}}")
HASH = "sha256:" + "0" * 64
TRACE = "6f1c-trace"

# Method, resource and a matching path of each operation; a key begins with its function.
OPERATIONS = {
    "simulate_pack": ("POST", f"{BASE}/simulations", f"{BASE}/simulations"),
    "create_run": ("POST", RUNS, RUNS),
    "decide_approval": (
        "POST",
        f"{RUNS}/{{runId}}/approvals/{{approvalId}}",
        f"{RUNS}/run-7/approvals/security",
    ),
    "cancel_run": ("POST", f"{RUNS}/{{runId}}/cancel", f"{RUNS}/run-7/cancel"),
    "read_run": ("GET", f"{RUNS}/{{runId}}", f"{RUNS}/run-7"),
    "create_run/rerun": ("POST", f"{RUNS}/{{runId}}/rerun", f"{RUNS}/run-7/rerun"),
    "read_run/plan": ("GET", f"{RUNS}/{{runId}}/plan", f"{RUNS}/run-7/plan"),
    "read_run/approval": (
        "GET",
        f"{RUNS}/{{runId}}/approvals/{{approvalId}}",
        f"{RUNS}/run-7/approvals/security",
    ),
    "read_run/list": ("GET", RUNS, RUNS),
    "read_run/logs": ("GET", f"{RUNS}/{{runId}}/logs", f"{RUNS}/run-7/logs"),
    "read_run/artifacts": ("GET", f"{RUNS}/{{runId}}/artifacts", f"{RUNS}/run-7/artifacts"),
    "read_run/artifact": (
        "GET",
        f"{RUNS}/{{runId}}/artifacts/{{name}}",
        f"{RUNS}/run-7/artifacts/report",
    ),
    "read_run/approvals": ("GET", f"{BASE}/approvals", f"{BASE}/approvals"),
}
WITH_BODY = ["simulate_pack", "create_run", "decide_approval"]
HOST = "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"
API_URL = f"https://{HOST}/live"


class Answer:
    """A response that conforms to the API's document."""

    def __init__(self, operation: str, response: Mapping[str, Any]) -> None:
        method, _, path = OPERATIONS[operation]
        self.status: int = response["statusCode"]
        self.headers: dict[str, str] = response["headers"]
        self.text: str = response["body"]
        self.text.encode()  # Lambda could not return text that has no UTF-8
        assert_conforms(method, path, self.status, self.headers, self.text)

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.text)

    @property
    def error(self) -> tuple[int, str]:
        assert self.json["error"]["traceId"] == TRACE
        return self.status, self.json["error"]["code"]


def an_event(
    operation: str,
    body: Any = None,  # noqa: ANN401 - any JSON, or a text as it stands
    headers: Mapping[str, str] = JSON,
    **changes: Any,  # noqa: ANN401 - any part of the event
) -> dict[str, Any]:
    """API Gateway's event of a request by ana, an operator of the tenants acme and globex."""
    method, resource, path = OPERATIONS[operation]
    ana = Caller(subject="ana", scopes=frozenset({"operator"}), tenants=("acme", "globex"))
    event = {
        "httpMethod": method,
        "resource": resource,
        "pathParameters": {"runId": "run-7", "approvalId": "security", "name": "report"},
        "headers": {"X-StellaOps-Tenant": "acme", "Host": HOST, **headers},
        "multiValueHeaders": {},
        "queryStringParameters": None,
        "requestContext": {
            "requestId": TRACE,
            "path": f"/live{path}",
            "authorizer": to_context(ana),
        },
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }
    return event | changes


def send(
    operation: str,
    body: Any = None,  # noqa: ANN401 - any JSON, or a text as it stands
    headers: Mapping[str, str] = JSON,
    *,
    world: MemoryWorld | None = None,
    **changes: Any,  # noqa: ANN401 - any part of the event
) -> Answer:
    """Return the answer of the operation's function, in an empty world unless one is given."""
    name = operation.partition("/")[0]
    handler = importlib.import_module(f"functions.{name}.app").handler
    event = an_event(operation, body, headers, **changes)
    return Answer(operation, handler(event, None, world=world or MemoryWorld()))


def a_body(operation: str, **changes: Any) -> dict[str, Any] | None:  # noqa: ANN401
    """A body that the operation accepts; None when it takes none."""
    if operation not in WITH_BODY:
        return None
    if operation == "decide_approval":
        return {"decision": "approved", "planHash": HASH, **changes}
    return {"manifest": PLAIN, **changes}
