"""What plans a pack is limited more than what reads, and a refusal tells when to come back."""

from __future__ import annotations

import json
from typing import Any

from tests.api_schema import assert_conforms
from tests.template import routes, template

PLANNING = {("POST", "/v1/task-runner/runs"), ("POST", "/v1/task-runner/simulations")}


def api() -> dict[str, Any]:
    properties: dict[str, Any] = template()["Resources"]["Api"]["Properties"]
    return properties


def limits() -> dict[tuple[str, str], tuple[float, float]]:
    """Rate and burst of each method that has its own, with the template's defaults."""

    def default(of: dict[str, str]) -> float:
        value: float = template()["Parameters"][of["Ref"]]["Default"]
        return value

    return {
        (one["HttpMethod"], one["ResourcePath"][1:].replace("~1", "/")): (
            default(one["ThrottlingRateLimit"]),
            default(one["ThrottlingBurstLimit"]),
        )
        for one in api()["MethodSettings"]
    }


def test_each_limit_is_of_a_route_that_is_there() -> None:
    assert set(limits()) == {("*", "*"), *PLANNING}
    assert set(routes()) >= PLANNING


def test_planning_is_limited_more_than_the_rest() -> None:
    (rate, burst) = limits()["*", "*"]

    assert all(limits()[route] < (rate, burst) for route in PLANNING)


def test_a_usage_plan_is_there_for_clients_with_a_key() -> None:
    plan = template()["Resources"]["UsagePlan"]["Properties"]

    assert plan["ApiStages"] == [{"ApiId": {"Ref": "Api"}, "Stage": {"Ref": "Api.Stage"}}]
    assert set(plan["Throttle"]) == {"RateLimit", "BurstLimit"}


def test_the_gateways_429_is_the_documents() -> None:
    for name in ("THROTTLED", "QUOTA_EXCEEDED"):
        response = api()["GatewayResponses"][name]
        headers = response["ResponseParameters"]["Headers"]
        body = response["ResponseTemplates"]["application/json"]
        sent = {key: value.strip("'") for key, value in headers.items()}

        told = body.replace("$context.requestId", "trace")

        assert response["StatusCode"] == 429
        assert json.loads(told)["error"]["code"] == "throttled"
        sent["Content-Type"] = "application/json"
        assert_conforms("GET", "/v1/task-runner/runs", 429, sent, told)
