"""Callers and their rights, with real tokens of the stack's own issuer."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from tests.api_schema import assert_conforms
from tests.packs import pack
from tests.stack.packs import STEP

if TYPE_CHECKING:
    import httpx

    from tests.stack.api import Api


def without_token(api: Api, method: str, path: str, **headers: str) -> httpx.Response:
    return api.http.request(method, api.stack.api_url + path, headers=headers)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer x.y.z", "Basic dGVzdDp0ZXN0", "Bearer " + "a" * 5000]
)
def test_rejects_a_bad_token_in_the_envelope(operator: Api, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}

    answer = without_token(operator, "GET", "/v1/task-runner/runs", **headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert_conforms("GET", "/v1/task-runner/runs", 401, answer.headers, answer.content)


def test_rejects_a_token_with_another_signature(operator: Api) -> None:
    head, payload, signature = operator.token.split(".")
    forged = f"Bearer {head}.{payload}.{signature[::-1]}"

    answer = without_token(operator, "GET", "/v1/task-runner/runs", Authorization=forged)

    assert answer.status_code == 401


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS384"])
def test_rejects_a_token_of_another_algorithm(operator: Api, algorithm: str) -> None:
    _, payload, signature = operator.token.split(".")
    header = json.dumps({"alg": algorithm, "kid": "1", "typ": "JWT"}).encode()
    forged = f"{base64.urlsafe_b64encode(header).decode().rstrip('=')}.{payload}.{signature}"

    answer = without_token(
        operator, "GET", "/v1/task-runner/runs", Authorization=f"Bearer {forged}"
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


def test_a_viewer_reads_and_changes_nothing(operator: Api) -> None:
    viewer = operator.as_("viewer")
    run_id = operator.run(STEP)

    read = viewer("GET", f"runs/{run_id}")
    refused = [
        viewer("POST", "runs", {"manifest": STEP}),
        viewer("POST", f"runs/{run_id}/cancel"),
        viewer("POST", f"runs/{run_id}/approvals/any", {}),
    ]

    assert read.status_code == 200
    assert [answer.status_code for answer in refused] == [403] * 3
    assert {answer.json()["error"]["code"] for answer in refused} == {"forbidden"}


def test_the_tenant_of_header_body_and_token_must_agree(operator: Api) -> None:
    body = {"manifest": STEP, "tenantId": "tenant-prod"}

    foreign = operator("GET", "runs", headers={"X-StellaOps-Tenant": "tenant-dev"})
    differing = operator("POST", "runs", body, headers={"X-StellaOps-Tenant": "tenant-dev"})
    agreeing = operator("POST", "runs", body, headers={"X-StellaOps-Tenant": "tenant-prod"})
    admin = operator.as_("admin")("GET", "runs", headers={"X-StellaOps-Tenant": "tenant-dev"})

    assert (foreign.status_code, foreign.json()["error"]["code"]) == (403, "forbidden")
    assert (differing.status_code, differing.json()["error"]["code"]) == (400, "invalid_request")
    assert agreeing.status_code == 201
    assert admin.status_code == 200


def test_an_approver_needs_the_grant_that_the_approval_names(operator: Api, approver: Api) -> None:
    manifest = pack(
        "- {id: review, gate: {approval: {id: security}}}",
        spec="approvals: [{id: security, grants: [packs.release]}]",
    )
    run_id = operator.run(manifest)
    operator.wait(run_id, "waiting")

    refused = approver.decide(run_id, "security", "approved")

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "grant_required")
    assert "packs.release" in refused.json()["error"]["message"]
    operator("POST", f"runs/{run_id}/cancel")


def test_an_approval_may_exclude_the_creator_of_the_run(operator: Api, approver: Api) -> None:
    manifest = pack(
        "- {id: review, gate: {approval: {id: security}}}",
        spec="approvals: [{id: security, distinctFromRequester: true}]",
    )
    run_id = operator.run(manifest)
    operator.wait(run_id, "waiting")

    own = operator.decide(run_id, "security", "approved")
    other = approver.decide(run_id, "security", "approved")

    assert own.status_code == 403
    assert other.json() == {"status": "approved", "resumed": True}


def test_two_approvals_need_two_approvers(operator: Api, approver: Api) -> None:
    manifest = pack(
        "- {id: review, gate: {approval: {id: security}}}",
        spec="approvals: [{id: security, minApprovals: 2}]",
    )
    run_id = operator.run(manifest)
    operator.wait(run_id, "waiting")

    answers = [
        approver.decide(run_id, "security", "approved").json(),
        approver.decide(run_id, "security", "approved").json(),
        operator.decide(run_id, "security", "approved").json(),
    ]

    assert [answer["resumed"] for answer in answers] == [False, False, True]
    assert operator.ended(run_id)["status"] == "succeeded"


@pytest.mark.parametrize("path", ["/.well-known/openapi", "/openapi", "/schemas/pack.v1.json"])
def test_everybody_reads_the_document_and_caches_it_by_its_etag(operator: Api, path: str) -> None:
    first = without_token(operator, "GET", path)
    etag = first.headers["ETag"]
    again = without_token(operator, "GET", path, **{"If-None-Match": etag})

    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert again.headers["ETag"] == etag
    assert first.headers["X-Signature"].startswith("sha256:")
    assert_conforms("GET", path, 200, first.headers, first.content)


def test_answers_404_to_an_unknown_path_in_the_envelope(operator: Api) -> None:
    answer = without_token(operator, "GET", "/v1/task-runner/nothing")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
