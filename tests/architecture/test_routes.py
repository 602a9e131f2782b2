"""The routes of the template, of the document and of the table of scopes are the same routes."""

from __future__ import annotations

from pathlib import PurePosixPath

import yaml

from taskrunner.model.access import OPEN, SCOPES, methods, routes
from taskrunner.model.caller import ADMIN, OPERATOR, VIEWER, Caller
from tests.template import ROOT, fallbacks, open_routes
from tests.template import routes as routes_of_the_template

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
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


def test_the_document_describes_the_routes_that_are_deployed() -> None:
    assert scopes_of_the_document().keys() == routes_of_the_template().keys()


def test_a_route_needs_the_scope_that_the_document_says() -> None:
    needed = {(method, path): scope for (method, path), scope in SCOPES.items()}

    assert scopes_of_the_document() == needed | dict.fromkeys(OPEN, "none")


def test_only_the_document_itself_is_open_to_anyone() -> None:
    assert {route for route in open_routes() if route[0] != "ANY"} == set(OPEN)


def test_whatever_else_is_asked_of_any_path_is_told_so_by_who_has_the_document() -> None:
    """Else API Gateway answers, and does so as if the request had not been signed."""
    paths = {PurePosixPath(path) for _, path in routes_of_the_template()}
    leading_there = {parent for path in paths for parent in path.parents}

    assert fallbacks().keys() == {str(path) for path in paths | leading_there} | {"/{proxy+}"}
    assert set(fallbacks().values()) == {"DescribeApiFunction"}
    assert {("ANY", path) for path in fallbacks()} <= open_routes()


def test_the_methods_of_a_path_are_those_of_the_template() -> None:
    for path in fallbacks():
        deployed = {method for method, one in routes_of_the_template() if one == path}
        assert methods(path) == sorted(deployed)


def test_an_admin_may_use_every_route_and_a_viewer_none_that_changes_a_run() -> None:
    def allowed(scope: str) -> set[Route]:
        caller = Caller(subject="ana", scopes=frozenset({scope}), tenants=("tenant-prod",))
        return set(routes(caller))

    assert allowed(ADMIN) == allowed(OPERATOR) == set(SCOPES)
    changing = {method for method, path in allowed(VIEWER) if not path.endswith("simulations")}
    assert changing == {"GET"}
