"""POST /v1/task-runner/simulations: say what a run of a pack would do. Touches nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import http_api
from taskrunner.adapters.http_api import Request, answer, field
from taskrunner.usecases.simulate_pack import simulate_pack

if TYPE_CHECKING:
    from taskrunner.ports import World


def _simulate(request: Request, world: World) -> dict[str, Any]:
    request.tenant()  # a token of no tenant simulates nothing either
    body = request.body()
    manifest = field(body, "manifest", str, required=True)
    inputs = field(body, "inputs", dict) or {}
    return answer(200, simulate_pack(manifest, inputs, world.ceilings))


def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Answer API Gateway's proxy event."""
    world = world or bootstrap.aws()
    routes = {("POST", "/v1/task-runner/simulations"): partial(_simulate, world=world)}
    return http_api.serve(event, routes, world.principals, plans=True)
