"""Planning a pack and open methods are limited more than reading; a refusal says when to retry.

A deployment can reserve concurrency for steps and for the API, so that neither starves the other.
The local stack reserves both, which bounds its processes.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskrunner_cli.local.emulator import (
    ACCOUNT_CONCURRENCY,
    FUNCTION_CONCURRENCY,
    OTHER_CONCURRENCY,
)
from tests.api_schema import assert_conforms
from tests.architecture.translation import translated_api, translations
from tests.template import example_executors, functions, open_routes, routes, template

# Each process of run_step has a sandbox server and a child that runs the attempt.
SANDBOX_PROCESSES = 2
PLANNING = {
    ("POST", "/v1/task-runner/runs"),
    ("POST", "/v1/task-runner/runs/{runId}/rerun"),
    ("POST", "/v1/task-runner/simulations"),
}
FILES_OF_A_PAGE = 4  # stack/console/test_loading.py
MANY_PAGES = 50
CONSOLE_FILES = ("GET", "/console/{release}/{file}")


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


@pytest.mark.parametrize("authorization", ["Authorize", "AWS_IAM"])
def test_no_usage_plan_limits_requests_by_api_key(authorization: str) -> None:
    """No caller has a key, so a plan would limit nothing, and a required key would stop all."""
    kinds = {it["Type"] for it in translations()["aws", authorization]["Resources"].values()}
    api = translated_api(authorization)

    assert [kind for kind in kinds if "UsagePlan" in kind or "ApiKey" in kind] == []
    assert "apiKey" not in {
        scheme["type"]
        for scheme in api["components"]["securitySchemes"].values()
        if "x-amazon-apigateway-authtype" not in scheme
    }


def test_every_route_that_needs_authorization_has_an_entry() -> None:
    """The entry for all methods is for the others, so a route without an entry would be slow."""
    authorized = routes().keys() - open_routes()

    assert set(limits()) == {("*", "*"), *authorized, CONSOLE_FILES}


def test_planning_has_lower_limits_than_other_routes() -> None:
    planning = {limits()[route] for route in PLANNING}
    others = {limits()[route] for route in limits().keys() - PLANNING - {("*", "*")}}

    assert max(planning) < min(others)


def test_methods_without_authorization_have_the_lowest_limits() -> None:
    """Each starts a function for anybody. An ANY method is seven methods for API Gateway."""
    open_limit = limits()["*", "*"]

    assert all(open_limit < other for route, other in limits().items() if route != ("*", "*"))
    assert len(open_routes()) > 20


def test_many_pages_can_load_the_files_of_the_console_at_once() -> None:
    assert limits()[CONSOLE_FILES][1] >= FILES_OF_A_PAGE * MANY_PAGES


def test_no_metrics_of_methods_by_default() -> None:
    """CloudWatch charges for each of their metrics."""
    assert {repr(setting["MetricsEnabled"]) for setting in api()["MethodSettings"]} == {
        repr({"Ref": "MethodMetrics"})
    }
    assert template()["Parameters"]["MethodMetrics"]["Default"] == "false"


def headers_of(response: dict[str, Any]) -> dict[str, str]:
    """Return the headers of a gateway response in a deployment that allows no other origin."""
    headers = response["ResponseParameters"]["Headers"].items()
    return {name: value.strip("'") for name, value in headers if isinstance(value, str)}


def test_api_gateways_429_conforms_to_the_document() -> None:
    for name in ("THROTTLED", "QUOTA_EXCEEDED"):
        response = api()["GatewayResponses"][name]
        body = response["ResponseTemplates"]["application/json"]
        sent = headers_of(response)

        text = body.replace("$context.requestId", "trace")

        assert response["StatusCode"] == 429
        assert json.loads(text)["error"]["code"] == "throttled"
        sent["Content-Type"] = "application/json"
        assert_conforms("GET", "/v1/task-runner/runs", 429, sent, text)


def test_the_gateways_503_for_a_throttled_function_conforms_to_the_document() -> None:
    """API Gateway treats Lambda's throttle as a failure of the integration."""
    response = api()["GatewayResponses"]["INTEGRATION_FAILURE"]
    headers = headers_of(response)
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
    for name in ("RemoveMachinesFunction", "DigestSettingsFunction"):
        assert properties.pop(name)["ReservedConcurrentExecutions"] == {"Ref": "AWS::NoValue"}
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
    arns = (value["Ref"] for value in machine.values() if value != {"Ref": "AWS::Partition"})
    called_by_machines = {arn.removesuffix(".Alias") for arn in arns}

    assert reserved_by("StepConcurrency") == (
        called_by_machines
        | set(example_executors())
        | {"EndMachineCallFunction", "ReconcileFunction", "PublishEventsFunction"}
    )
    assert reserved_by("WorkerConcurrency") == {"ServeWorkersFunction"}
    assert reserved_by("ApiConcurrency") == {
        *routes().values(),
        "AuthorizeFunction",
    } - {"ServeWorkersFunction"}


def test_no_concurrency_is_reserved_by_default() -> None:
    """A new account may have ten concurrent executions, of which none can be reserved."""
    parameters = template()["Parameters"]

    assert parameters["ApiConcurrency"]["Default"] == 0
    assert parameters["StepConcurrency"]["Default"] == 0
    assert parameters["WorkerConcurrency"]["Default"] == 0


def test_the_local_stack_stays_under_64_processes() -> None:
    others = len(functions()) - len(OTHER_CONCURRENCY) + len(example_executors())

    reserved = others * FUNCTION_CONCURRENCY + sum(OTHER_CONCURRENCY.values())
    emulator = 1

    assert OTHER_CONCURRENCY.keys() <= functions().keys()
    assert emulator + reserved + SANDBOX_PROCESSES * FUNCTION_CONCURRENCY < 64
    assert reserved <= ACCOUNT_CONCURRENCY
