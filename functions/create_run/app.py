"""POST /v1/task-runner/runs: plan a pack, record its run, start it.

The reconciler calls with `{"resume": {"tenant", "run"}}` for a run that was recorded, not started.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import http_api
from taskrunner.adapters.http_api import Request, answer, field
from taskrunner.usecases.create_run import CreateRun, create_run
from taskrunner.usecases.start_run import start_run

if TYPE_CHECKING:
    from taskrunner.ports import World


def _create(request: Request, world: World) -> dict[str, Any]:
    body = request.body()
    tenant_id = field(body, "tenantId", str)
    wanted = CreateRun(
        tenant=request.caller.tenant(request.tenant_header, tenant_id),
        caller=request.caller.subject,
        manifest=field(body, "manifest", str, required=True),
        inputs=field(body, "inputs", dict) or {},
        run_id=field(body, "runId", str),
        expect_plan_hash=field(body, "expectPlanHash", str),
        idempotency_key=request.headers.get("idempotency-key"),
    )
    state = create_run(wanted, world)
    return answer(201, state, {"Location": f"/v1/task-runner/runs/{state['runId']}"})


def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Answer API Gateway's proxy event, or the reconciler."""
    world = world or bootstrap.aws()
    if "resume" in event:
        return start_run(event["resume"]["tenant"], event["resume"]["run"], world)
    routes = {("POST", "/v1/task-runner/runs"): partial(_create, world=world)}
    return http_api.serve(event, routes, world.principals, plans=True)
