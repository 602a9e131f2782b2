"""POST /v1/task-runner/simulations: say what a run of a pack would do. Touches nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import http_api
from taskrunner.adapters.http_api import Request, answer, field
from taskrunner.usecases.simulate_pack import simulate_pack

if TYPE_CHECKING:
    from taskrunner.adapters.principals import Principals


def _simulate(request: Request) -> dict[str, Any]:
    request.tenant()  # a token of no tenant simulates nothing either
    body = request.body()
    manifest = field(body, "manifest", str, required=True)
    return answer(200, simulate_pack(manifest, field(body, "inputs", dict) or {}))


_ROUTES = {("POST", "/v1/task-runner/simulations"): _simulate}


def handler(
    event: dict[str, Any], _context: object, *, principals: Principals | None = None
) -> dict[str, Any]:
    """Answer API Gateway's proxy event."""
    return http_api.serve(event, _ROUTES, principals or bootstrap.aws().principals, plans=True)
