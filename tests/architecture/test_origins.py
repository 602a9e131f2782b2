"""Pages of another origin may use the API where a deployment names their origin, and else not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from taskrunner.adapters.http_origins import origin_headers
from tests.architecture.api_document import DOCUMENT, ROOT, read
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


def test_the_console_follows_no_redirect_to_another_host() -> None:
    """A browser would follow it with `Origin: null`, which the bucket allows to nobody."""
    redirecting = [
        path.removeprefix("/v1/task-runner")
        for path, item in read(DOCUMENT)["paths"].items()
        if any("302" in operation.get("responses", {}) for operation in operations(item))
    ]
    scripts = [file.read_text("utf-8") for file in (ROOT / "functions/console/static").glob("*.js")]
    answered = ("{ redirect: 'false' }", "{ content: 'true' }")

    assert redirecting
    for path in redirecting:
        called = re.sub(r"\{\w+\}", r"\\$\\{[^}]+\\}", path)
        calls = [call for text in scripts for call in re.findall(f"{called}`.*", text)]
        assert calls
        assert [call for call in calls if not any(query in call for query in answered)] == []


def operations(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the operations of a path, without its parameters."""
    return [value for value in item.values() if isinstance(value, dict)]


@pytest.mark.parametrize(
    ("origin", "is_one"),
    [
        ("", True),
        ("*", True),
        (ORIGIN, True),
        ("http://localhost:3000", True),
        ("portal.example.com", False),
        (f"{ORIGIN}/", False),
        ("null", False),
        (f"{ORIGIN} {ORIGIN}", False),
        ("https://a'b", False),
    ],
)
def test_the_parameter_is_one_origin_or_all(origin: str, is_one: bool) -> None:  # noqa: FBT001
    pattern = template()["Parameters"]["AllowedOrigin"]["AllowedPattern"]

    assert bool(re.fullmatch(pattern, origin)) == is_one
