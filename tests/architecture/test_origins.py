"""Pages of another origin may use the API where a deployment names their origin, and else not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from taskrunner.adapters.http_origins import origin_headers
from tests.architecture.deployment import Deployment
from tests.architecture.translation import translations
from tests.template import fallbacks, template

ORIGIN = "https://portal.example.com"
ALLOWED = "Access-Control-Allow-Origin"


def resources(origin: str) -> dict[str, Any]:
    translated = translations()["aws", "Authorize"]
    parameters = {"AllowedOrigin": origin}
    return dict(Deployment(translated, parameters, "aws", "us-east-1").resources)


def allowed(origin: str) -> set[str | None]:
    """Return the origins that the API's own answers allow; None where there is no such header."""
    body = resources(origin)["Api"]["Properties"]["Body"]
    responses = body["x-amazon-apigateway-gateway-responses"].values()
    preflights = [
        item["options"]["x-amazon-apigateway-integration"]["responses"]["default"]
        for item in body["paths"].values()
    ]
    return {
        response.get("responseParameters", {}).get(f"gatewayresponse.header.{ALLOWED}")
        for response in responses
    } | {
        response["responseParameters"].get(f"method.response.header.{ALLOWED}")
        for response in preflights
    }


def test_no_page_may_call_by_default() -> None:
    plain = resources("")

    assert template()["Parameters"]["AllowedOrigin"]["Default"] == ""
    assert allowed("") == {None}
    assert "CorsConfiguration" not in plain["RunBucket"]["Properties"]
    assert variable(plain) == "none"


def variable(deployed: dict[str, Any]) -> Any:  # noqa: ANN401 - any value of the template
    """Return the stage's variable, by which functions learn of the origin."""
    [stage] = [it for it in deployed.values() if it["Type"] == "AWS::ApiGateway::Stage"]
    return stage["Properties"]["Variables"]["AllowedOrigin"]


@pytest.mark.parametrize(
    ("origin", "written", "header"),
    [("", "none", None), ("*", "any", "*"), (ORIGIN, ORIGIN, ORIGIN)],
)
def test_functions_answer_pages_of_the_origin_by_the_stages_variable(
    origin: str, written: str, header: str | None
) -> None:
    event = {"stageVariables": {"AllowedOrigin": variable(resources(origin))}}

    assert event["stageVariables"]["AllowedOrigin"] == written
    assert re.fullmatch("[A-Za-z0-9._~:/?#&=,-]+", written)  # API Gateway takes no other value
    assert origin_headers(event).get(ALLOWED) == header


def test_pages_of_the_origin_may_call_every_path_and_read_every_error() -> None:
    [rule] = resources(ORIGIN)["RunBucket"]["Properties"]["CorsConfiguration"]["CorsRules"]

    assert allowed(ORIGIN) == {f"'{ORIGIN}'"}
    assert (rule["AllowedOrigins"], rule["AllowedMethods"]) == ([ORIGIN], ["GET", "HEAD"])


def test_the_question_whether_a_page_may_call_starts_no_function() -> None:
    paths = resources(ORIGIN)["Api"]["Properties"]["Body"]["paths"]

    assert paths.keys() == fallbacks().keys()
    for item in paths.values():
        assert item["options"]["x-amazon-apigateway-integration"]["type"] == "mock"
        assert "security" not in item["options"]


@pytest.mark.parametrize(
    ("origin", "is_one"),
    [
        ("", True),
        ("*", True),
        (ORIGIN, True),
        ("http://localhost:3000", True),
        ("portal.example.com", False),
        (f"{ORIGIN}/", False),
        (f"{ORIGIN} {ORIGIN}", False),
        ("https://a'b", False),
    ],
)
def test_the_parameter_is_one_origin_or_all(origin: str, is_one: bool) -> None:  # noqa: FBT001
    pattern = template()["Parameters"]["AllowedOrigin"]["AllowedPattern"]

    assert bool(re.fullmatch(pattern, origin)) == is_one
