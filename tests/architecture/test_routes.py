"""The template, the API document and the table of scopes have the same routes."""

from __future__ import annotations

from pathlib import PurePosixPath

import yaml

from taskrunner.model.access import OPEN, SCOPES, methods, routes
from taskrunner.model.caller import ADMIN, OPERATOR, VIEWER, WORKER, Caller
from tests.template import ROOT, fallbacks, open_routes
from tests.template import routes as routes_of_the_template

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
Route = tuple[str, str]


def scopes_of_the_document() -> dict[Route, str]:
    """Return `x-required-scope` of each operation: viewer, operator, admin or none."""
    text = (ROOT / "functions/describe_api/openapi.yaml").read_text(encoding="utf-8")
    return {
        (method.upper(), path): operation["x-required-scope"].removeprefix("taskrunner.")
        for path, item in yaml.load(text, yaml.CSafeLoader)["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def test_the_document_describes_exactly_the_deployed_routes() -> None:
    assert scopes_of_the_document().keys() == routes_of_the_template().keys()


def test_the_document_names_the_scope_of_every_route() -> None:
    needed = {(method, path): scope for (method, path), scope in SCOPES.items()}

    assert scopes_of_the_document() == needed | dict.fromkeys(OPEN, "none")


def test_only_the_document_is_public() -> None:
    assert {route for route in open_routes() if route[0] != "ANY"} == set(OPEN)


def test_describe_api_answers_all_other_requests() -> None:
    """Otherwise API Gateway would answer them like unsigned requests."""
    paths = {PurePosixPath(path) for _, path in routes_of_the_template()}
    parents = {parent for path in paths for parent in path.parents}

    assert fallbacks().keys() == {str(path) for path in paths | parents} | {"/{proxy+}"}
    assert set(fallbacks().values()) == {"DescribeApiFunction"}
    assert {("ANY", path) for path in fallbacks()} <= open_routes()


def test_lists_the_deployed_methods_of_every_path() -> None:
    for path in fallbacks():
        deployed = {method for method, other in routes_of_the_template() if other == path}
        assert methods(path) == sorted(deployed)


def test_an_admin_may_use_all_routes_but_those_of_workers_and_a_viewer_only_reads() -> None:
    def allowed(scope: str) -> set[Route]:
        caller = Caller(subject="ana", scopes=frozenset({scope}), tenants=("tenant-prod",))
        return set(routes(caller))

    assert allowed(ADMIN) == allowed(OPERATOR) == set(SCOPES) - allowed(WORKER)
    assert {path.split("/")[3] for _, path in allowed(WORKER)} == {"worker"}
    methods_of_viewer = {m for m, path in allowed(VIEWER) if not path.endswith("simulations")}
    assert methods_of_viewer == {"GET"}
