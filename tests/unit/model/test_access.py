from __future__ import annotations

import pytest

from taskrunner.model.access import SCOPES, routes
from taskrunner.model.caller import Caller
from tests.template import routes as deployed_routes

PUBLIC = {("GET", "/.well-known/openapi"), ("GET", "/openapi")}


def a_caller(*scopes: str) -> Caller:
    return Caller(subject="ana", scopes=frozenset(scopes), tenants=("acme",))


def test_every_deployed_route_has_its_scope_and_no_other_has() -> None:
    assert {tuple(route) for route in SCOPES} == set(deployed_routes()) - PUBLIC


def test_a_viewer_reads_and_simulates() -> None:
    allowed = routes(a_caller("viewer"))

    assert {one.method for one in allowed} == {"GET", "POST"}
    assert [one.path for one in allowed if one.method == "POST"] == ["/v1/task-runner/simulations"]


@pytest.mark.parametrize("scope", ["operator", "admin"])
def test_an_operator_may_use_every_route(scope: str) -> None:
    assert routes(a_caller(scope)) == list(SCOPES)


def test_without_a_scope_no_route_is_open() -> None:
    assert routes(a_caller()) == []
    assert routes(a_caller("openid")) == []
