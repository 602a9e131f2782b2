"""POST runs and POST runs/{runId}/rerun: plan a pack, record its run, start it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import http_api
from taskrunner.adapters.http_api import Operation
from taskrunner.adapters.http_response import Response, json_response
from taskrunner.usecases.create_run import CreateRun, create_run
from taskrunner.usecases.rerun_run import RerunRun, rerun_run

if TYPE_CHECKING:
    from taskrunner.adapters.http_request import Request
    from taskrunner.model.json_types import JsonObject
    from taskrunner.ports import World

_RUNS = "/v1/task-runner/runs"
_MEMBERS = ("tenantId", "manifest", "inputs", "runId", "expectPlanHash")
_RERUN_MEMBERS = ("inputs", "runId", "expectPlanHash")

bootstrap.make_before_snapshot(
    "ceilings", "clock", "ids", "machine_counts", "machines", "plans", "principals", "runs"
)


def _create(request: Request, world: World) -> Response:
    body = request.body
    command = CreateRun(
        tenant=request.tenant(body.text("tenantId")),
        caller=request.caller.subject,
        caller_name=request.caller.name,
        manifest=body.required_text("manifest"),
        inputs=body.object("inputs"),
        run_id=body.text("runId"),
        expect_plan_hash=body.text("expectPlanHash"),
        idempotency_key=request.headers.get("idempotency-key"),
    )
    return _created(request, create_run(command, world))


def _rerun(request: Request, world: World) -> Response:
    body = request.body
    command = RerunRun(
        tenant=request.tenant(),
        caller=request.caller.subject,
        caller_name=request.caller.name,
        rerun_of=request.run_id(),
        inputs=body.object("inputs"),
        run_id=body.text("runId"),
        expect_plan_hash=body.text("expectPlanHash"),
        idempotency_key=request.headers.get("idempotency-key"),
    )
    return _created(request, rerun_run(command, world))


def _created(request: Request, state: JsonObject) -> Response:
    return json_response(201, state, {"Location": f"{request.base_url}{_RUNS}/{state['runId']}"})


@bootstrap.observed
def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Answer API Gateway's proxy event."""
    world = world or bootstrap.aws()
    routes = {
        ("POST", _RUNS): Operation(partial(_create, world=world), members=_MEMBERS),
        ("POST", f"{_RUNS}/{{runId}}/rerun"): Operation(
            partial(_rerun, world=world), members=_RERUN_MEMBERS, is_body_optional=True
        ),
    }
    return http_api.serve(event, routes, world.principals, plans=True)
