"""Two tenants of the running stack: neither can find out whether the other has anything.

tests/security/tenants tests every pair and every id, and compares the work that is done. Here the
same claim is tested through API Gateway, its authorizer and its cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.model.access import SCOPES
from tests.packs import pack

if TYPE_CHECKING:
    import httpx

    from tests.stack.api import Api

GATED = pack(
    "- {id: review, gate: {approval: {id: review-of-prod}}}",
    spec="approvals: [{id: review-of-prod}]",
)
# Headers that differ between any two answers.
VOLATILE = {
    "date",
    "x-amz-request-id",
    "x-amzn-requestid",
    "x-amz-apigw-id",
    "x-amzn-trace-id",
    "content-length",
}
ROUTES_OF_A_RUN = [route for route in SCOPES if "{runId}" in route.path]


@pytest.fixture(name="theirs", scope="module")
def _theirs(operator: Api) -> dict[str, Any]:
    """The state of a run of the tenant tenant-prod."""
    run_id = operator.run(GATED)
    state: dict[str, Any] = operator("GET", f"runs/{run_id}").json()
    return state


def without(answer: httpx.Response, name: str) -> tuple[int, dict[str, str], str]:
    """The answer without *name* and without what differs between any two answers."""
    headers = {key: text for key, text in answer.headers.items() if key not in VOLATILE}
    trace = answer.json()["error"]["traceId"]
    return answer.status_code, headers, answer.text.replace(trace, "").replace(name, "<it>")


@pytest.mark.parametrize("route", ROUTES_OF_A_RUN, ids=" ".join)
def test_a_run_of_another_tenant_looks_like_one_that_never_existed(
    operator: Api,
    theirs: dict[str, Any],
    route: Any,  # noqa: ANN401 - a method and a path
) -> None:
    other = operator.as_("other-tenant-operator")
    run_id = theirs["runId"]
    ghost = run_id[:-6] + "nobody"
    body = {"decision": "approved", "planHash": theirs["planHash"]}

    def request(wanted: str) -> httpx.Response:
        path = route.path.format(
            runId=wanted, approvalId="review-of-prod", name="report", stepId="build"
        )
        return other(route.method, path, body if "approvals" in path else None)

    existing, missing = request(run_id), request(ghost)

    assert existing.status_code == 404
    assert without(existing, run_id) == without(missing, ghost)


@pytest.mark.parametrize("path", ["runs", "approvals"])
def test_a_list_shows_nothing_of_another_tenant(
    operator: Api, theirs: dict[str, Any], path: str
) -> None:
    other = operator.as_("other-tenant-operator")

    answer = other("GET", path)

    assert answer.status_code == 200
    assert theirs["runId"] not in answer.text
    assert "review-of-prod" not in answer.text


def test_two_tenants_may_use_one_run_id(operator: Api, theirs: dict[str, Any]) -> None:
    other = operator.as_("other-tenant-operator")
    run_id = theirs["runId"]

    created = other("POST", "runs", {"manifest": GATED, "runId": run_id})
    cancelled = other("POST", f"runs/{run_id}/cancel")

    assert (created.status_code, cancelled.status_code) == (201, 202)
    assert other("GET", f"runs/{run_id}").json()["status"] == "cancelled"
    assert operator("GET", f"runs/{run_id}").json()["status"] != "cancelled"
    operator("POST", f"runs/{run_id}/cancel")
