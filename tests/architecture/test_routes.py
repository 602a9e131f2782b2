"""The routes of the template, of the document and of the table of scopes are the same routes."""

from __future__ import annotations

import yaml

from taskrunner.model.access import SCOPES, routes
from taskrunner.model.caller import ADMIN, OPERATOR, VIEWER, Caller
from tests.template import ROOT, functions
from tests.template import routes as routes_of_the_template

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
OPEN = {("GET", "/openapi"), ("GET", "/.well-known/openapi")}
Route = tuple[str, str]


def scopes_of_the_document() -> dict[Route, str]:
    """`x-required-scope` of each operation: viewer, operator, admin or none."""
    text = (ROOT / "functions/describe_api/openapi.yaml").read_text(encoding="utf-8")
    return {
        (method.upper(), path): described["x-required-scope"].removeprefix("taskrunner.")
        for path, item in yaml.safe_load(text)["paths"].items()
        for method, described in item.items()
        if method in METHODS
    }


def open_routes_of_the_template() -> set[Route]:
    return {
        (event["Properties"]["Method"].upper(), event["Properties"]["Path"])
        for function in functions().values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api"
        and event["Properties"].get("Auth", {}).get("Authorizer") == "NONE"
    }


def test_the_document_describes_the_routes_that_are_deployed() -> None:
    assert scopes_of_the_document().keys() == routes_of_the_template().keys()


def test_a_route_needs_the_scope_that_the_document_says() -> None:
    needed = {(method, path): scope for (method, path), scope in SCOPES.items()}

    assert scopes_of_the_document() == needed | dict.fromkeys(OPEN, "none")


def test_only_the_document_itself_is_open_to_anyone() -> None:
    assert open_routes_of_the_template() == OPEN


def test_an_admin_may_use_every_route_and_a_viewer_none_that_changes_a_run() -> None:
    def allowed(scope: str) -> set[Route]:
        caller = Caller(subject="ana", scopes=frozenset({scope}), tenants=("tenant-prod",))
        return set(routes(caller))

    assert allowed(ADMIN) == allowed(OPERATOR) == set(SCOPES)
    changing = {method for method, path in allowed(VIEWER) if not path.endswith("simulations")}
    assert changing == {"GET"}
