"""POST /v1/task-runner/simulations: report what a run of a pack would do, without effects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import http_api
from taskrunner.adapters.http_api import Operation
from taskrunner.adapters.http_response import Response, json_response
from taskrunner.usecases.compare_plan import check_form, compare_plan
from taskrunner.usecases.simulate_pack import simulate_pack

if TYPE_CHECKING:
    from taskrunner.adapters.http_request import Request
    from taskrunner.compiler.driver import CompiledPack
    from taskrunner.model.json_types import JsonObject
    from taskrunner.ports import World

_MEMBERS = ("manifest", "inputs", "compareTo")

bootstrap.make_before_snapshot("ceilings", "plans", "principals", "runs")


def _simulate(request: Request, world: World) -> Response:
    tenant, body = request.tenant(), request.body
    manifest, inputs = body.required_text("manifest"), body.object("inputs")
    compare_to = body.text("compareTo")
    if compare_to is None:
        return json_response(200, simulate_pack(manifest, inputs, world.ceilings))
    check_form(compare_to)

    def comparison(compiled: CompiledPack) -> JsonObject:
        return compare_plan(tenant, compiled.plan_hash, compiled.document, compare_to, world)

    return json_response(200, simulate_pack(manifest, inputs, world.ceilings, comparison))


@bootstrap.observed
def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Answer API Gateway's proxy event."""
    world = world or bootstrap.aws()
    operation = Operation(partial(_simulate, world=world), members=_MEMBERS)
    routes = {("POST", "/v1/task-runner/simulations"): operation}
    return http_api.serve(event, routes, world.principals, plans=True)
