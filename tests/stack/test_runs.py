"""Runs over HTTP, on the real template: from creation to the end, with everything one can read."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import httpx

from tests.packs import deploy_app, pack, scan_deploy
from tests.stack.api import PATIENCE_S, statuses
from tests.stack.packs import GATED

if TYPE_CHECKING:
    from tests.stack.api import Api


def test_simulates_the_contracts_packs(operator: Api) -> None:
    viewer = operator.as_("viewer")

    scan = viewer("POST", "simulations", scan_deploy())
    deploy = viewer("POST", "simulations", {"manifest": deploy_app()["manifest"]})

    assert (scan.status_code, scan.json()["hasPendingApprovals"]) == (200, False)
    assert [(step["id"], step["status"]) for step in deploy.json()["steps"]] == [
        ("build", "Pending"),
        ("approval", "RequiresApproval"),
        ("deploy", "Pending"),
    ]


def test_the_contracts_deploy_pack_runs_through_its_gate(operator: Api, approver: Api) -> None:
    body = {name: value for name, value in deploy_app().items() if name != "runId"}
    created = operator("POST", "runs", body)
    run_id = created.json()["runId"]

    waiting = operator.wait(run_id, "waiting")
    decided = approver.decide(run_id, "security-review", "approved", actorId="user:alice")
    again = approver.decide(run_id, "security-review", "approved")
    ended = operator.ended(run_id)

    assert created.status_code == 201
    location = f"{operator.stack.api_url}/v1/task-runner/runs/{run_id}"
    assert created.headers["Location"] == location
    assert statuses(waiting)["approval"] == "Pending awaiting-approval"
    assert decided.json() == again.json() == {"status": "approved", "resumed": True}
    assert ended["status"] == "succeeded"
    assert set(statuses(ended).values()) == {"Succeeded"}
    assert operator.log(run_id)[-1]["eventType"] == "run.completed"


def test_redirects_to_an_artifacts_download(operator: Api) -> None:
    run_id = operator("POST", "runs", scan_deploy()).json()["runId"]
    operator.ended(run_id)

    artifacts = operator.artifacts(run_id)
    redirect = operator("GET", f"runs/{run_id}/artifacts/scan-report")
    link = operator("GET", f"runs/{run_id}/artifacts/scan-report", query={"redirect": "false"})
    file = httpx.get(redirect.headers["Location"], timeout=PATIENCE_S)

    assert artifacts.keys() - {"evidence-bundle"} == {"scan-report"}
    assert redirect.status_code == 302
    assert file.status_code == 200
    assert httpx.get(link.json()["url"], timeout=PATIENCE_S).content == file.content
    assert hashlib.sha256(file.content).hexdigest() == artifacts["scan-report"]["sha256"]
    assert file.headers["Content-Type"] == "application/json"
    assert "scan-report.json" in file.headers["Content-Disposition"]


def test_a_log_is_followed_by_its_cursor_without_loss(operator: Api, approver: Api) -> None:
    run_id = operator.run(GATED)
    operator.wait(run_id, "waiting")

    first = operator("GET", f"runs/{run_id}/logs", query={"limit": "2"})
    cursor = first.headers["X-TaskRunner-Cursor"]
    approver.decide(run_id, "security", "approved")
    operator.ended(run_id)
    rest = operator("GET", f"runs/{run_id}/logs", query={"cursor": cursor})
    whole = operator("GET", f"runs/{run_id}/logs")

    assert len(first.text.splitlines()) == 2
    assert first.text + rest.text == whole.text
    end = rest.headers["X-TaskRunner-Cursor"]
    nothing = operator("GET", f"runs/{run_id}/logs", query={"cursor": end})
    assert (nothing.text, nothing.headers["X-TaskRunner-Cursor"]) == ("", end)


def test_a_log_is_read_from_its_end_and_followed_from_there(operator: Api, approver: Api) -> None:
    run_id = operator.run(GATED)
    operator.wait(run_id, "waiting")

    before = operator("GET", f"runs/{run_id}/logs").text
    end = operator("GET", f"runs/{run_id}/logs", query={"tail": "2"})
    approver.decide(run_id, "security", "approved")
    operator.ended(run_id)
    query = {"cursor": end.headers["X-TaskRunner-Cursor"]}
    rest = operator("GET", f"runs/{run_id}/logs", query=query)
    whole = operator("GET", f"runs/{run_id}/logs").text

    assert end.text.splitlines() == before.splitlines()[-2:]
    assert before + rest.text == whole


def test_a_rejection_ends_the_run_at_its_gate(operator: Api, approver: Api) -> None:
    run_id = operator.run(GATED)
    operator.wait(run_id, "waiting")

    decided = approver.decide(run_id, "security", "rejected", summary="criticals")
    ended = operator.ended(run_id)
    contrary = approver.decide(run_id, "security", "approved")

    assert decided.json() == {"status": "rejected", "resumed": False}
    assert ended["status"] == "failed"
    assert statuses(ended)["review"] == "Failed approval-rejected"
    assert statuses(ended)["ship"] == "Skipped run-failed"
    assert contrary.status_code == 409
    assert contrary.json()["error"]["code"] == "approval_already_decided"


def test_only_an_admin_expires_a_gate(operator: Api, approver: Api) -> None:
    run_id = operator.run(GATED)
    operator.wait(run_id, "waiting")

    refused = approver.decide(run_id, "security", "expired")
    expired = operator.as_("admin").decide(run_id, "security", "expired")
    ended = operator.ended(run_id)

    assert refused.status_code == 403
    assert expired.json() == {"status": "expired", "resumed": False}
    assert statuses(ended)["review"] == "Failed approval-expired"


def test_the_clock_expires_a_gate(operator: Api, expiring_run: str) -> None:
    state = operator.wait(expiring_run, "failed", deadline_s=300.0)

    assert statuses(state)["review"] == "Failed approval-expired"
    assert "gate.expired" in {line["eventType"] for line in operator.log(expiring_run)}


def test_cancelling_is_final(operator: Api, approver: Api) -> None:
    run_id = operator.run(GATED)
    operator.wait(run_id, "waiting")

    answers = [operator("POST", f"runs/{run_id}/cancel") for _ in range(2)]
    late = approver.decide(run_id, "security", "approved")
    state = operator.state(run_id)

    cancelled = (202, {"status": "cancelled", "runStatus": "cancelled"})
    assert [(answer.status_code, answer.json()) for answer in answers] == [cancelled] * 2
    assert late.json()["error"]["code"] == "approval_not_open"
    assert state["status"] == "cancelled"
    assert statuses(state) == {
        "build": "Succeeded",
        "review": "Skipped cancelled",
        "ship": "Skipped cancelled",
    }


def test_steps_are_retried_timed_out_and_skipped_as_the_pack_says(operator: Api) -> None:
    manifest = pack(
        """
        - id: flaky
          run: {uses: builtin:fail, with: {message: not yet, attempts: 2}}
          retries: {maxAttempts: 3, backoffSeconds: 1}
        - id: broken
          continueOnError: true
          run: {uses: builtin:fail, with: {message: never}}
        - id: slow
          timeoutSeconds: 1
          continueOnError: true
          run: {uses: builtin:sleep, with: {seconds: 30}}
        - id: skipped
          when: inputs.stage == 'prod'
          run: {uses: builtin:noop}
        """,
        spec="inputs: [{name: stage, type: string, default: dev}]",
    )
    run_id = operator.run(manifest)

    ended = operator.ended(run_id)

    assert ended["status"] == "succeeded"
    assert statuses(ended) == {
        "flaky": "Succeeded",
        "broken": "Failed executor-error",
        "slow": "Failed timeout",
        "skipped": "Skipped condition-false",
    }
    assert ended["steps"][0]["attempts"] == 3


def test_lists_the_tenants_runs_and_open_approvals(operator: Api) -> None:
    run_id = operator.run(GATED)
    operator.wait(run_id, "waiting")

    approvals = operator.open_approvals()
    page = operator("GET", "runs", query={"limit": "1"}).json()
    following = operator("GET", "runs", query={"limit": "1", "cursor": page["nextCursor"]}).json()

    assert run_id in {approval["runId"] for approval in approvals}
    assert (page["runs"][0]["runId"], page["runs"][0]["status"]) == (run_id, "waiting")
    assert following["runs"][0]["runId"] != run_id
    operator("POST", f"runs/{run_id}/cancel")
