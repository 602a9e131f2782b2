"""Two tenants of the running stack: neither can tell whether the other has anything.

tests/security/tenants walks every pair and every id, and counts the work; here it is the same claim
through API Gateway, its authorizer and its cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.model.access import SCOPES
from tests.packs import pack

if TYPE_CHECKING:
    import httpx

    from tests.stack.conftest import Api

GATED = pack(
    "- {id: review, gate: {approval: {id: review-of-prod}}}",
    spec="approvals: [{id: review-of-prod}]",
)
# What differs between any two answers, or tells the time.
VOLATILE = {
    "date",
    "x-amz-request-id",
    "x-amzn-requestid",
    "x-amz-apigw-id",
    "x-amzn-trace-id",
    "content-length",
}
WITH_A_RUN = [route for route in SCOPES if "{runId}" in route.path]


@pytest.fixture(name="theirs", scope="module")
def _theirs(operator: Api) -> dict[str, Any]:
    """The state of a run of the tenant tenant-prod."""
    run_id = operator.run(GATED)
    state: dict[str, Any] = operator("GET", f"runs/{run_id}").json()
    return state


def without(answer: httpx.Response, name: str) -> tuple[int, dict[str, str], str]:
    """The answer, without what is its own and without *name*."""
    headers = {key: text for key, text in answer.headers.items() if key not in VOLATILE}
    trace = answer.json()["error"]["traceId"]
    return answer.status_code, headers, answer.text.replace(trace, "").replace(name, "<it>")


@pytest.mark.parametrize("route", WITH_A_RUN, ids=" ".join)
def test_a_run_of_another_tenant_is_as_one_that_never_existed(
    operator: Api,
    theirs: dict[str, Any],
    route: Any,  # noqa: ANN401 - a method and a path
) -> None:
    other = operator.as_("other-tenant-operator")
    run_id = theirs["runId"]
    ghost = run_id[:-6] + "nobody"
    body = {"decision": "approved", "planHash": theirs["planHash"]}

    answers = []
    for one in (run_id, ghost):
        path = route.path.format(runId=one, approvalId="review-of-prod", name="report")
        decides = "approvals" in path
        answers.append(other(route.method, path, body if decides else None))

    found, nothing = answers
    assert found.status_code == 404
    assert without(found, run_id) == without(nothing, ghost)


@pytest.mark.parametrize("path", ["runs", "approvals"])
def test_a_list_has_nothing_of_another_tenant(
    operator: Api, theirs: dict[str, Any], path: str
) -> None:
    other = operator.as_("other-tenant-operator")

    answer = other("GET", path)

    assert answer.status_code == 200
    assert theirs["runId"] not in answer.text
    assert "review-of-prod" not in answer.text


def test_the_same_id_is_another_tenants_own_run(operator: Api, theirs: dict[str, Any]) -> None:
    other = operator.as_("other-tenant-operator")
    run_id = theirs["runId"]

    created = other("POST", "runs", {"manifest": GATED, "runId": run_id})
    cancelled = other("POST", f"runs/{run_id}/cancel")

    assert (created.status_code, cancelled.status_code) == (201, 202)
    assert other("GET", f"runs/{run_id}").json()["status"] == "cancelled"
    assert operator("GET", f"runs/{run_id}").json()["status"] != "cancelled"
    operator("POST", f"runs/{run_id}/cancel")
