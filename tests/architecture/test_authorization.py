"""The template as SAM translates it, for both kinds of authorization."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest

from taskrunner.adapters.issuer_keys import ALGORITHMS
from taskrunner.model.access import OPEN, SCOPES, routes
from taskrunner.model.caller import Caller
from tests.architecture.translation import translated_api
from tests.template import fallbacks, template
from tests.template import routes as deployed_routes

ANY = "X-AMAZON-APIGATEWAY-ANY-METHOD"


def security(api: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    return {
        (method.upper(), path): [name for scheme in operation["security"] for name in scheme]
        for path, item in api["paths"].items()
        for method, operation in item.items()
        if method != "options"  # a browser's question, for which test_origins.py is
    }


@pytest.mark.parametrize(
    ("authorization", "kind"), [("Authorize", "custom"), ("AWS_IAM", "awsSigv4")]
)
def test_every_route_requires_authorization_except_those_of_the_document(
    authorization: str, kind: str
) -> None:
    api = translated_api(authorization)

    expected = {route: [authorization] for route in deployed_routes()}
    expected |= {route: ["NONE"] for route in (*OPEN, *((ANY, path) for path in fallbacks()))}
    schemes = api["components"]["securitySchemes"]
    assert security(api) == expected
    assert schemes[authorization]["x-amazon-apigateway-authtype"] == kind
    assert "NONE" not in schemes


def validation_expressions() -> list[str]:
    """Return the patterns that a token must match before API Gateway calls the authorizer."""
    schemes = translated_api()["components"]["securitySchemes"].values()
    authorizers = [scheme.get("x-amazon-apigateway-authorizer", {}) for scheme in schemes]
    return [
        authorizer["identityValidationExpression"]
        for authorizer in authorizers
        if "identityValidationExpression" in authorizer
    ]


@pytest.mark.parametrize(
    ("header", "is_token"),
    [("Bearer t", True), ("bearer t", True), ("BEARER  t", True), ("Basic t", False), ("t", False)],
)
def test_the_authorizer_is_called_for_bearer_tokens_alone(header: str, is_token: bool) -> None:  # noqa: FBT001
    [expression] = validation_expressions()

    assert bool(re.fullmatch(expression, header)) == is_token


def test_validation_expressions_have_no_inline_flags() -> None:
    """API Gateway refuses to deploy an API with a group such as `(?i)`."""
    assert [text for text in validation_expressions() if "(?" in text] == []


def test_a_signing_caller_needs_no_permission_for_the_functions() -> None:
    api = translated_api("AWS_IAM")

    integrations = [
        operation["x-amazon-apigateway-integration"]
        for item in api["paths"].values()
        for operation in item.values()
    ]
    assert [integration for integration in integrations if "credentials" in integration] == []


def test_api_gateways_own_errors_have_the_envelope() -> None:
    responses = translated_api()["x-amazon-apigateway-gateway-responses"]

    codes = {name: _code(response) for name, response in responses.items()}
    statuses = {name: response.get("statusCode") for name, response in responses.items()}
    assert (statuses["UNAUTHORIZED"], codes["UNAUTHORIZED"]) == ("401", "unauthorized")
    assert (statuses["ACCESS_DENIED"], codes["ACCESS_DENIED"]) == ("403", "forbidden")
    for unsigned in ("MISSING_AUTHENTICATION_TOKEN", "INVALID_SIGNATURE", "EXPIRED_TOKEN"):
        assert (statuses[unsigned], codes[unsigned]) == ("401", "unauthorized")
    assert (statuses["AUTHORIZER_FAILURE"], codes["AUTHORIZER_FAILURE"]) == ("503", "try_again")
    unauthorized = {name for name, status in statuses.items() if status == "401"}
    assert unauthorized == {
        name
        for name, response in responses.items()
        if "gatewayresponse.header.WWW-Authenticate" in response["responseParameters"]
    }


def _code(response: dict[str, Any]) -> str:
    """Return the error code of a gateway response, with its variables filled in."""
    template_text = response["responseTemplates"]["application/json"]
    filled = template_text.replace("$context.error.messageString", '"message"')
    code: str = json.loads(filled)["error"]["code"]
    return code


@pytest.mark.parametrize("scope", ["", "viewer", "operator", "admin", "worker"])
def test_a_policy_allows_no_route_beyond_its_scope(scope: str) -> None:
    """IAM's `*` matches slashes, like fnmatch's."""
    caller = Caller(subject="ana", scopes=frozenset({scope}), tenants=("acme",))
    allowed = [f"{route.method}{re.sub('{[^}]*}', '*', route.path)}" for route in routes(caller)]

    opened = {
        route
        for route in SCOPES
        if any(fnmatchcase(f"{route.method}{route.path}", pattern) for pattern in allowed)
    }
    assert opened == set(routes(caller))


def test_the_template_allows_exactly_the_algorithms_of_the_code() -> None:
    pattern = template()["Parameters"]["Algorithms"]["AllowedPattern"]
    every = " ".join(ALGORITHMS)

    assert re.fullmatch(pattern, every)
    assert [name for name in ALGORITHMS if not re.fullmatch(pattern, name)] == []
    for wrong in ("", "none", "HS256", "RS384", "RS256,ES256", f"{every} HS256"):
        assert not re.fullmatch(pattern, wrong)


def test_an_issuer_requires_its_keys_its_audience_and_its_token_address() -> None:
    assertions = template()["Rules"]["AnotherIssuer"]["Assertions"]

    required = [
        assertion["Assert"]["Fn::Not"][0]["Fn::Equals"][0]["Ref"] for assertion in assertions
    ]
    assert required == ["JwksUrl", "Audience", "IssuerTokenUrl"]
