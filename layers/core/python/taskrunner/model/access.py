"""The routes of the API, and which scope each needs: the one table of it."""

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
# What anyone may ask, without saying who: what this API is.
OPEN: Final = (Route("GET", "/openapi"), Route("GET", "/.well-known/openapi"))


def routes(caller: Caller) -> list[Route]:
    """The routes that *caller* may use, in the table's order."""
    return [route for route, scope in SCOPES.items() if caller.may(scope)]


def methods(path: str) -> list[str]:
    """The methods of *path*, written as in the table, in order; none when there is no such path."""
    return sorted(route.method for route in (*SCOPES, *OPEN) if route.path == path)
