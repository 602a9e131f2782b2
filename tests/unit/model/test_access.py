from __future__ import annotations

import pytest

from taskrunner.model.access import OPEN, SCOPES, routes
from taskrunner.model.caller import WORKER, Caller
from tests.template import routes as deployed_routes


def a_caller(*scopes: str) -> Caller:
    return Caller(subject="ana", scopes=frozenset(scopes), tenants=("acme",))


def test_the_table_has_the_deployed_routes_and_no_others() -> None:
    assert set(SCOPES) | set(OPEN) == set(deployed_routes())
    assert not set(SCOPES) & set(OPEN)


def test_a_viewer_may_read_and_simulate() -> None:
    allowed = routes(a_caller("viewer"))

    assert {route.method for route in allowed} == {"GET", "POST"}
    assert [route.path for route in allowed if route.method == "POST"] == [
        "/v1/task-runner/simulations"
    ]


@pytest.mark.parametrize("scope", ["operator", "admin"])
def test_an_operator_may_use_every_route_but_those_of_workers(scope: str) -> None:
    assert routes(a_caller(scope)) == [
        route for route, needed in SCOPES.items() if needed != WORKER
    ]


def test_a_worker_may_use_the_routes_of_workers_alone() -> None:
    assert routes(a_caller("worker")) == [
        ("POST", "/v1/task-runner/worker/leases"),
        ("POST", "/v1/task-runner/worker/leases/{leaseId}/heartbeat"),
        ("POST", "/v1/task-runner/worker/leases/{leaseId}/artifacts"),
        ("POST", "/v1/task-runner/worker/leases/{leaseId}/completion"),
    ]


def test_a_caller_without_a_scope_may_use_no_route() -> None:
    assert routes(a_caller()) == []
    assert routes(a_caller("openid")) == []
