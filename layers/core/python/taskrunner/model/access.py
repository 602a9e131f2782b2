"""The routes of the API, and the scope that each needs. No other table repeats them."""

from __future__ import annotations

from typing import Final, NamedTuple

from taskrunner.model.caller import OPERATOR, VIEWER, WORKER, Caller


class Route(NamedTuple):
    """A method and a path of the API, with `{...}` for each parameter."""

    method: str
    path: str


_RUNS: Final = "/v1/task-runner/runs"
_LEASES: Final = "/v1/task-runner/worker/leases"
DECIDE_APPROVAL: Final = Route("POST", _RUNS + "/{runId}/approvals/{approvalId}")
SCOPES: Final = {
    Route("POST", "/v1/task-runner/simulations"): VIEWER,
    Route("GET", _RUNS): VIEWER,
    Route("POST", _RUNS): OPERATOR,
    Route("GET", _RUNS + "/{runId}"): VIEWER,
    Route("GET", _RUNS + "/{runId}/plan"): VIEWER,
    Route("GET", _RUNS + "/{runId}/steps/{stepId}"): VIEWER,
    Route("GET", _RUNS + "/{runId}/logs"): VIEWER,
    Route("GET", _RUNS + "/{runId}/artifacts"): VIEWER,
    Route("GET", _RUNS + "/{runId}/artifacts/{name}"): VIEWER,
    Route("GET", "/v1/task-runner/approvals"): VIEWER,
    Route("GET", DECIDE_APPROVAL.path): VIEWER,
    DECIDE_APPROVAL: OPERATOR,
    Route("POST", _RUNS + "/{runId}/cancel"): OPERATOR,
    Route("POST", _RUNS + "/{runId}/rerun"): OPERATOR,
    Route("POST", _LEASES): WORKER,
    Route("POST", _LEASES + "/{leaseId}/heartbeat"): WORKER,
    Route("POST", _LEASES + "/{leaseId}/artifacts"): WORKER,
    Route("POST", _LEASES + "/{leaseId}/completion"): WORKER,
}
# Anybody may ask what this API and a pack are, and get the files of the console, without a token.
OPEN: Final = (
    Route("GET", "/openapi"),
    Route("GET", "/.well-known/openapi"),
    Route("GET", "/schemas/pack.v1.json"),
    Route("GET", "/console"),
    Route("GET", "/console/{release}/{file}"),
)


def routes(caller: Caller) -> list[Route]:
    """Return the routes that *caller* may use, in the table's order."""
    return [route for route, scope in SCOPES.items() if caller.may(scope)]


def methods(path: str) -> list[str]:
    """Return the sorted methods of *path*, written as in the table; empty for an unknown path."""
    return sorted(route.method for route in (*SCOPES, *OPEN) if route.path == path)
