"""Planning a pack is limited more than reading, and a refusal says when to retry.

A deployment can reserve concurrency for steps and for the API, so that neither starves the other.
The local stack reserves both, which bounds its processes.
"""

from __future__ import annotations

import json
from typing import Any

from taskrunner_cli.local.emulator import (
    ACCOUNT_CONCURRENCY,
    FUNCTION_CONCURRENCY,
    LOWER_CONCURRENCY,
)
from tests.api_schema import assert_conforms
from tests.template import example_executors, functions, routes, template

# Each process of run_step has a sandbox server and a child that runs the attempt.
SANDBOX_PROCESSES = 2
PLANNING = {
    ("POST", "/v1/task-runner/runs"),
    ("POST", "/v1/task-runner/runs/{runId}/rerun"),
    ("POST", "/v1/task-runner/simulations"),
}


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


def test_the_gateways_503_for_a_throttled_function_conforms_to_the_document() -> None:
    """API Gateway treats Lambda's throttle as a failure of the integration."""
    response = api()["GatewayResponses"]["INTEGRATION_FAILURE"]
    headers = {key: it.strip("'") for key, it in response["ResponseParameters"]["Headers"].items()}
    body = response["ResponseTemplates"]["application/json"]

    sent = body.replace("$context.requestId", "trace")

    assert (response["StatusCode"], int(headers["Retry-After"]) > 0) == (503, True)
    assert json.loads(sent)["error"]["code"] == "try_again"
    assert_conforms(
        "POST",
        "/v1/task-runner/runs",
        503,
        {**headers, "Content-Type": "application/json"},
        sent,
    )


def reserved_by(parameter: str) -> set[str]:
    """Return the logical ids of the functions whose reserved concurrency is *parameter*."""
    every = template()["Globals"]["Function"]["ReservedConcurrentExecutions"]
    properties = functions() | {
        name: resource["Properties"] for name, resource in example_executors().items()
    }
    logical_ids = set()
    assert properties.pop("RemoveMachinesFunction")["ReservedConcurrentExecutions"] == {
        "Ref": "AWS::NoValue"
    }
    for name, function in properties.items():
        [condition, value, otherwise] = function.get("ReservedConcurrentExecutions", every)[
            "Fn::If"
        ]
        assert template()["Conditions"][condition] == {
            "Fn::Not": [{"Fn::Equals": [{"Ref": value["Ref"]}, 0]}]
        }
        assert otherwise == {"Ref": "AWS::NoValue"}
        if value == {"Ref": parameter}:
            logical_ids.add(name)
    return logical_ids


def test_steps_and_the_api_reserve_concurrency_apart() -> None:
    machine = template()["Resources"]["PackRunMachine"]["Properties"]["DefinitionSubstitutions"]
    arns = (value["Fn::GetAtt"] for value in machine.values() if "Fn::GetAtt" in value)
    called_by_machines = {arn.partition(".")[0] for arn in arns}

    assert reserved_by("StepConcurrency") == (
        called_by_machines | set(example_executors()) | {"ReconcileFunction"}
    )
    assert reserved_by("ApiConcurrency") == {*routes().values(), "AuthorizeFunction"}


def test_no_concurrency_is_reserved_by_default() -> None:
    """A new account may have ten concurrent executions, of which none can be reserved."""
    parameters = template()["Parameters"]

    assert parameters["ApiConcurrency"]["Default"] == 0
    assert parameters["StepConcurrency"]["Default"] == 0


def test_the_local_stack_stays_under_64_processes() -> None:
    others = len(functions()) - len(LOWER_CONCURRENCY) + len(example_executors())

    reserved = others * FUNCTION_CONCURRENCY + sum(LOWER_CONCURRENCY.values())
    emulator = 1

    assert LOWER_CONCURRENCY.keys() <= functions().keys()
    assert emulator + reserved + SANDBOX_PROCESSES * FUNCTION_CONCURRENCY < 64
    assert reserved <= ACCOUNT_CONCURRENCY
