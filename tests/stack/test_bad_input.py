"""Wrong requests over HTTP: each answer has a code that says what is wrong, and none is a 500."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.packs import pack
from tests.stack.packs import GATE, STEP

if TYPE_CHECKING:
    from tests.stack.api import Api

HASH = "sha256:" + "0" * 64


@pytest.mark.parametrize("path", ["simulations", "runs"])
@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        ("{", "application/json", 400, "bad_json"),
        ("", "application/json", 400, "bad_json"),
        ("[]", "application/json", 400, "invalid_request"),
        ("{}", "application/json", 400, "invalid_request"),
        ('{"manifest": 7}', "application/json", 400, "invalid_request"),
        ('{"manifest": "a: ["}', "application/json", 400, "invalid_pack"),
        ('{"manifest": "x", "inputs": []}', "application/json", 400, "invalid_request"),
        ('{"manifest": "\\ud800"}', "application/json", 400, "invalid_request"),
        ('{"manifest": "x"}', "text/plain", 400, "unsupported_media_type"),
        (b"\xff\xfe\xfd", "application/json", 400, "bad_json"),
        ("[" * 5000, "application/json", 400, "bad_json"),
        ('{"manifest": "%s"}' % ("x" * 1_100_000), "application/json", 413, "body_too_large"),
    ],
    ids=lambda value: None if not isinstance(value, str) or len(value) < 40 else value[:20],
)
def test_rejects_a_bad_body_with_a_code(  # noqa: PLR0913, PLR0917 - a table of them
    operator: Api, path: str, content: str | bytes, media_type: str, status: int, code: str
) -> None:
    headers = {"Content-Type": media_type}

    answer = operator("POST", path, content=content, headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_reports_all_errors_of_a_pack_at_once_with_their_lines(operator: Api) -> None:
    manifest = STEP.replace("kind: TaskPack", "kind: TaskPak").replace("uses:", "use:")

    answer = operator("POST", "simulations", {"manifest": manifest})

    errors = {error["path"]: error["message"] for error in answer.json()["errors"]}
    assert answer.status_code == 400
    assert set(errors) == {"$.kind", "$.spec.steps[0].run.use"}
    assert errors["$.spec.steps[0].run.use"].startswith("line 6: ")
    assert "did you mean 'uses'?" in errors["$.spec.steps[0].run.use"]


@pytest.mark.parametrize("run_id", ["", "a b", "a.b", "a" * 129, "../x"])
def test_rejects_a_bad_run_id(operator: Api, run_id: str) -> None:
    answer = operator("POST", "runs", {"manifest": STEP, "runId": run_id})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "runs/nobody", None),
        ("GET", "runs/nobody/logs", None),
        ("GET", "runs/nobody/artifacts", None),
        ("GET", "runs/nobody/artifacts/report", None),
        ("POST", "runs/nobody/cancel", None),
        ("POST", "runs/nobody/approvals/any", {"decision": "approved", "planHash": HASH}),
    ],
)
def test_an_unknown_run_is_not_found(
    operator: Api, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = operator(method, path, body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_another_tenants_run_is_not_found(operator: Api) -> None:
    run_id = operator.run(STEP)
    stranger = operator.as_("other-tenant-operator")

    answers = [
        stranger("GET", f"runs/{run_id}"),
        stranger("GET", f"runs/{run_id}/logs"),
        stranger("GET", f"runs/{run_id}/artifacts"),
        stranger("POST", f"runs/{run_id}/cancel"),
    ]
    listed = stranger("GET", "runs", query={"limit": "100"}).json()["runs"]

    assert {answer.status_code for answer in answers} == {404}
    assert run_id not in {run["runId"] for run in listed}


@pytest.mark.parametrize(
    "body",
    [
        {"decision": "maybe", "planHash": HASH},
        {"decision": "approved", "planHash": "sha256:abc"},
        {"decision": "approved"},
        {"planHash": HASH},
        {"decision": ["approved"], "planHash": HASH},
    ],
)
def test_rejects_a_malformed_decision(operator: Api, body: dict[str, Any]) -> None:
    answer = operator("POST", "runs/any/approvals/any", body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_rejects_an_approval_of_another_plan(operator: Api, approver: Api) -> None:
    run_id = operator.run(GATE)
    operator.wait(run_id, "waiting")

    stale = approver(
        "POST", f"runs/{run_id}/approvals/security", {"decision": "approved", "planHash": HASH}
    )
    unknown = approver.decide(run_id, "nobody", "approved")

    assert (stale.status_code, stale.json()["error"]["code"]) == (409, "plan_hash_mismatch")
    assert unknown.status_code == 404
    operator("POST", f"runs/{run_id}/cancel")


def test_a_run_id_is_taken_once_and_its_request_replayed_by_key(operator: Api) -> None:
    run_id, key = f"run-{uuid.uuid4()}", {"Idempotency-Key": str(uuid.uuid4())}
    body = {"manifest": STEP, "runId": run_id}

    first = operator("POST", "runs", body, headers=key)
    operator.ended(run_id)
    replay = operator("POST", "runs", body, headers=key)
    other_body = operator("POST", "runs", {**body, "inputs": {}}, headers=key)
    changed = operator("POST", "runs", {**body, "manifest": STEP + "# more\n"}, headers=key)
    keyless = operator("POST", "runs", body)

    assert first.status_code == replay.status_code == 201
    assert replay.json() == first.json()
    assert other_body.status_code == 201  # no inputs and empty inputs are the same
    assert (changed.status_code, changed.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert (keyless.status_code, keyless.json()["error"]["code"]) == (409, "run_exists")


def test_creates_no_run_of_a_plan_that_is_not_expected(operator: Api) -> None:
    answer = operator("POST", "runs", {"manifest": STEP, "expectPlanHash": HASH})

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "plan_hash_mismatch")


def test_rejects_one_run_more_than_the_pack_allows(operator: Api) -> None:
    name = f"queue-{uuid.uuid4().hex[:8]}"
    manifest = pack(
        "- {id: review, gate: {approval: {id: security}}}",
        spec="approvals: [{id: security}]\nslo: {maxQueueDepth: 1}",
        name=name,
    )
    run_id = operator.run(manifest)

    refused = operator("POST", "runs", {"manifest": manifest})
    operator("POST", f"runs/{run_id}/cancel")
    freed = operator("POST", "runs", {"manifest": manifest})

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_runs")
    assert refused.headers["Retry-After"]
    assert freed.status_code == 201
    operator("POST", f"runs/{freed.json()['runId']}/cancel")
