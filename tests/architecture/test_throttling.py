"""Planning is limited more than reading, and a 429 says when to retry."""

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
    """Return the default rate and burst of each method that has its own limits."""

    def default(reference: dict[str, str]) -> float:
        value: float = template()["Parameters"][reference["Ref"]]["Default"]
        return value

    return {
        (setting["HttpMethod"], setting["ResourcePath"][1:].replace("~1", "/")): (
            default(setting["ThrottlingRateLimit"]),
            default(setting["ThrottlingBurstLimit"]),
        )
        for setting in api()["MethodSettings"]
    }


def test_every_limit_belongs_to_a_deployed_route() -> None:
    assert set(limits()) == {("*", "*"), *PLANNING}
    assert set(routes()) >= PLANNING


def test_planning_has_lower_limits_than_other_routes() -> None:
    (rate, burst) = limits()["*", "*"]

    assert all(limits()[route] < (rate, burst) for route in PLANNING)


def test_clients_with_an_api_key_have_a_usage_plan() -> None:
    plan = template()["Resources"]["UsagePlan"]["Properties"]

    assert plan["ApiStages"] == [{"ApiId": {"Ref": "Api"}, "Stage": {"Ref": "Api.Stage"}}]
    assert set(plan["Throttle"]) == {"RateLimit", "BurstLimit"}


def test_api_gateways_429_conforms_to_the_document() -> None:
    for name in ("THROTTLED", "QUOTA_EXCEEDED"):
        response = api()["GatewayResponses"][name]
        headers = response["ResponseParameters"]["Headers"]
        body = response["ResponseTemplates"]["application/json"]
        sent = {key: value.strip("'") for key, value in headers.items()}

        text = body.replace("$context.requestId", "trace")

        assert response["StatusCode"] == 429
        assert json.loads(text)["error"]["code"] == "throttled"
        sent["Content-Type"] = "application/json"
        assert_conforms("GET", "/v1/task-runner/runs", 429, sent, text)
