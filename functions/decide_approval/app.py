"""POST /v1/task-runner/runs/{runId}/approvals/{approvalId}: decide an approval."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import http_api
from taskrunner.adapters.http_api import Operation
from taskrunner.adapters.http_response import Response, json_response
from taskrunner.errors import InvalidRequestError
from taskrunner.model.approval import Verdict
from taskrunner.usecases.decide_approval import decide_approval

if TYPE_CHECKING:
    from taskrunner.adapters.http_request import Request
    from taskrunner.ports import World

_RESOURCE = "/v1/task-runner/runs/{runId}/approvals/{approvalId}"
_MEMBERS = ("decision", "planHash", "actorId", "summary", "stepId")
_PLAN_HASH = re.compile(r"sha256:[a-f0-9]{64}")
_MAX_TEXT_LENGTH = 2000
# Each gate is decided by itself, and API Gateway waits for 29 s.
_MAX_GATES = 50

bootstrap.make_before_snapshot("approvals", "clock", "due_work", "plans", "principals", "runs")


def _decide(request: Request, world: World) -> Response:
    body = request.body
    decision, plan_hash = body.required_text("decision"), body.required_text("planHash")
    actor, summary = body.text("actorId"), body.text("summary")
    step_ids = body.texts("stepId", _MAX_GATES)
    _check(decision, plan_hash, actor, summary)
    result = decide_approval(
        request.tenant(),
        request.run_id(),
        request.path["approvalId"],
        Verdict(decision),
        plan_hash=plan_hash,
        caller=request.caller,
        actor=actor,
        summary=summary,
        step_ids=step_ids,
        world=world,
    )
    return json_response(200, result)


def _check(decision: str, plan_hash: str, *texts: str | None) -> None:
    if decision not in set(Verdict):
        message = f"'decision' must be one of {', '.join(Verdict)}"
    elif not _PLAN_HASH.fullmatch(plan_hash):
        message = "'planHash' must be sha256: and 64 hex digits, as in the run's state"
    elif any(text is not None and len(text) > _MAX_TEXT_LENGTH for text in texts):
        message = f"'actorId' and 'summary' have at most {_MAX_TEXT_LENGTH} characters"
    else:
        return
    raise InvalidRequestError("invalid_request", message)


@bootstrap.observed
def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Answer API Gateway's proxy event."""
    world = world or bootstrap.aws()
    routes = {("POST", _RESOURCE): Operation(partial(_decide, world=world), members=_MEMBERS)}
    return http_api.serve(event, routes, world.principals)
