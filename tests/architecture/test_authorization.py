"""The template as SAM translates it, in both ways of letting callers in."""

from __future__ import annotations

import json
import os
import re
import subprocess
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest

from taskrunner.adapters.issuer_keys import ALGORITHMS
from taskrunner.model.access import OPEN, SCOPES, routes
from taskrunner.model.caller import Caller
from tests.template import ROOT, fallbacks, template
from tests.template import routes as deployed_routes

ANY = "X-AMAZON-APIGATEWAY-ANY-METHOD"
SAM = ROOT / ".local/venvs/emulator/bin/python"


@cache
def the_api(**parameters: str) -> dict[str, Any]:
    """The OpenAPI document that API Gateway is given."""
    assert SAM.exists(), "`make setup` makes the environment that has SAM in it"
    given = [f"{name}={value}" for name, value in parameters.items()]
    done = subprocess.run(  # noqa: S603 - our own program
        [SAM, ROOT / "tests/architecture/translated.py", *given],
        check=True,
        capture_output=True,
        env=os.environ | {"AWS_DEFAULT_REGION": "us-east-1", "PYTHONPATH": ""},
    )
    api: dict[str, Any] = json.loads(done.stdout)
    return api


def security(api: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    return {
        (method.upper(), path): [name for one in operation["security"] for name in one]
        for path, item in api["paths"].items()
        for method, operation in item.items()
    }


@pytest.mark.parametrize(
    ("authorization", "kind"), [("Authorize", "custom"), ("AWS_IAM", "awsSigv4")]
)
def test_every_route_but_the_documents_asks_who_calls(authorization: str, kind: str) -> None:
    api = the_api(Authorization=authorization)

    expected = {one: [authorization] for one in deployed_routes()}
    expected |= {one: ["NONE"] for one in (*OPEN, *((ANY, path) for path in fallbacks()))}
    schemes = api["components"]["securitySchemes"]
    assert security(api) == expected
    assert schemes[authorization]["x-amazon-apigateway-authtype"] == kind
    assert "NONE" not in schemes


def test_who_signs_needs_no_right_over_the_functions() -> None:
    api = the_api(Authorization="AWS_IAM")

    integrations = [
        operation["x-amazon-apigateway-integration"]
        for item in api["paths"].values()
        for operation in item.values()
    ]
    assert [one for one in integrations if "credentials" in one] == []


def test_every_refusal_of_api_gateway_is_in_the_envelope() -> None:
    responses = the_api()["x-amazon-apigateway-gateway-responses"]

    said = {
        name: re.match(r'\{"error":\{"code":"(\w+)",', one["responseTemplates"]["application/json"])
        for name, one in responses.items()
    }
    codes = {name: match[1] for name, match in said.items() if match}
    statuses = {name: one.get("statusCode") for name, one in responses.items()}
    assert codes.keys() == responses.keys()
    assert (statuses["UNAUTHORIZED"], codes["UNAUTHORIZED"]) == ("401", "unauthorized")
    assert (statuses["ACCESS_DENIED"], codes["ACCESS_DENIED"]) == ("403", "forbidden")
    for unsigned in ("MISSING_AUTHENTICATION_TOKEN", "INVALID_SIGNATURE", "EXPIRED_TOKEN"):
        assert (statuses[unsigned], codes[unsigned]) == ("401", "unauthorized")
    assert (statuses["AUTHORIZER_FAILURE"], codes["AUTHORIZER_FAILURE"]) == ("503", "try_again")
    unauthorized = {name for name, status in statuses.items() if status == "401"}
    assert unauthorized == {
        name
        for name, one in responses.items()
        if "gatewayresponse.header.WWW-Authenticate" in one["responseParameters"]
    }


@pytest.mark.parametrize("scope", ["", "viewer", "operator", "admin"])
def test_a_policy_opens_no_route_beside_those_of_its_scope(scope: str) -> None:
    """IAM's `*` reaches over slashes, as fnmatch's does."""
    caller = Caller(subject="ana", scopes=frozenset({scope}), tenants=("acme",))
    allowed = [f"{one.method}{re.sub('{[^}]*}', '*', one.path)}" for one in routes(caller)]

    opened = {
        route
        for route in SCOPES
        if any(fnmatchcase(f"{route.method}{route.path}", pattern) for pattern in allowed)
    }
    assert opened == set(routes(caller))


def test_the_template_allows_the_algorithms_that_the_code_knows() -> None:
    pattern = template()["Parameters"]["Algorithms"]["AllowedPattern"]
    every = " ".join(ALGORITHMS)

    assert re.fullmatch(pattern, every)
    assert [one for one in ALGORITHMS if not re.fullmatch(pattern, one)] == []
    for wrong in ("", "none", "HS256", "RS384", "RS256,ES256", f"{every} HS256"):
        assert not re.fullmatch(pattern, wrong)


def test_an_issuer_comes_with_its_keys_and_its_audience() -> None:
    assertions = template()["Rules"]["AnotherIssuer"]["Assertions"]

    asked = [one["Assert"]["Fn::Not"][0]["Fn::Equals"][0]["Ref"] for one in assertions]
    assert asked == ["JwksUrl", "Audience"]
