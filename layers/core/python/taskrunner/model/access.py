"""Which scope a route needs: the one table of it."""

from __future__ import annotations

from typing import Final, NamedTuple

from taskrunner.model.caller import OPERATOR, VIEWER, Caller


class Route(NamedTuple):
    """A method and a path of the API, with `{...}` where a value stands."""

    method: str
    path: str


_RUNS: Final = "/v1/task-runner/runs"
DECIDE_APPROVAL: Final = Route("POST", _RUNS + "/{runId}/approvals/{approvalId}")
SCOPES: Final = {
    Route("POST", "/v1/task-runner/simulations"): VIEWER,
    Route("GET", _RUNS): VIEWER,
    Route("POST", _RUNS): OPERATOR,
    Route("GET", _RUNS + "/{runId}"): VIEWER,
    Route("GET", _RUNS + "/{runId}/logs"): VIEWER,
    Route("GET", _RUNS + "/{runId}/artifacts"): VIEWER,
    Route("GET", _RUNS + "/{runId}/artifacts/{name}"): VIEWER,
    Route("GET", "/v1/task-runner/approvals"): VIEWER,
    DECIDE_APPROVAL: OPERATOR,
    Route("POST", _RUNS + "/{runId}/cancel"): OPERATOR,
}


def routes(caller: Caller) -> list[Route]:
    """The routes that *caller* may use, in the table's order."""
    return [route for route, scope in SCOPES.items() if caller.may(scope)]
