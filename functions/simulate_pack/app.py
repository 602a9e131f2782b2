"""POST /v1/task-runner/simulations: report what a run of a pack would do, without effects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import http_api
from taskrunner.adapters.http_api import Operation
from taskrunner.adapters.http_response import Response, json_response
from taskrunner.usecases.simulate_pack import simulate_pack

if TYPE_CHECKING:
    from taskrunner.adapters.http_request import Request
    from taskrunner.ports import World


def _simulate(request: Request, world: World) -> Response:
    request.tenant()  # refuses a token without a tenant
    manifest, inputs = request.body.required_text("manifest"), request.body.object("inputs")
    return json_response(200, simulate_pack(manifest, inputs, world.ceilings))


def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Answer API Gateway's proxy event."""
    world = world or bootstrap.aws()
    operation = Operation(partial(_simulate, world=world), members=("manifest", "inputs"))
    routes = {("POST", "/v1/task-runner/simulations"): operation}
    return http_api.serve(event, routes, world.principals, plans=True)
