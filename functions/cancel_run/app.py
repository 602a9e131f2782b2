"""POST /v1/task-runner/runs/{runId}/cancel: end a run, at once and for good."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import http_api
from taskrunner.adapters.http_api import Request, answer
from taskrunner.usecases.cancel_run import cancel_run

if TYPE_CHECKING:
    from taskrunner.ports import World


def _cancel(request: Request, world: World) -> dict[str, Any]:
    run_id = request.run_id()
    cancelled = cancel_run(request.tenant(), run_id, request.caller.subject, world)
    return answer(202, cancelled, {"Location": f"/v1/task-runner/runs/{run_id}"})


def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Answer API Gateway's proxy event."""
    world = world or bootstrap.aws()
    resource = "/v1/task-runner/runs/{runId}/cancel"
    routes = {("POST", resource): partial(_cancel, world=world)}
    return http_api.serve(event, routes, world.principals)
