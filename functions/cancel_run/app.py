"""POST /v1/task-runner/runs/{runId}/cancel: end a run immediately and permanently."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import http_api
from taskrunner.adapters.http_api import Operation
from taskrunner.adapters.http_response import Response, json_response
from taskrunner.usecases.cancel_run import cancel_run

if TYPE_CHECKING:
    from taskrunner.adapters.http_request import Request
    from taskrunner.ports import World

_RUNS = "/v1/task-runner/runs"

bootstrap.make_before_snapshot("clock", "jobs", "machines", "principals", "runs")


def _cancel(request: Request, world: World) -> Response:
    run_id, caller = request.run_id(), request.caller
    state = cancel_run(request.tenant(), run_id, caller.subject, world, caller_name=caller.name)
    return json_response(202, state, {"Location": f"{request.base_url}{_RUNS}/{run_id}"})


@bootstrap.observed
def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Answer API Gateway's proxy event."""
    world = world or bootstrap.aws()
    routes = {("POST", f"{_RUNS}/{{runId}}/cancel"): Operation(partial(_cancel, world=world))}
    return http_api.serve(event, routes, world.principals)
