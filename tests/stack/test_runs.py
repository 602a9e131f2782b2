"""Runs over HTTP, on the real template: from creation to the end, with everything one can read."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import httpx

from tests.packs import deploy_app, pack, scan_deploy
from tests.stack.conftest import until

if TYPE_CHECKING:
    from tests.stack.conftest import Api

GATED = pack(
    """
    - id: build
      run: {uses: builtin:noop, with: {size: 3}}
    - id: review
      gate: {approval: {id: security}}
    - id: ship
      run: {uses: builtin:noop, with: {size: "{{ steps.build.outputs.size }}"}}
    """,
    spec="approvals: [{id: security, grants: [packs.approve]}]",
)


def steps(state: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {one["stepId"]: (one["status"], one.get("statusReason")) for one in state["steps"]}


def events(api: Api, run_id: str) -> list[str]:
    lines = api("GET", f"runs/{run_id}/logs").text.splitlines()
    return [json.loads(line)["eventType"] for line in lines]


def test_the_contracts_packs_simulate(operator: Api) -> None:
    viewer = operator.as_("viewer")

    scan = viewer("POST", "simulations", scan_deploy())
    deploy = viewer("POST", "simulations", {"manifest": deploy_app()["manifest"]})

    assert (scan.status_code, scan.json()["hasPendingApprovals"]) == (200, False)
    assert [(s["id"], s["status"]) for s in deploy.json()["steps"]] == [
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
    assert created.headers["Location"] == f"/v1/task-runner/runs/{run_id}"
    assert steps(waiting)["approval"] == ("Pending", "awaiting-approval")
    assert decided.json() == again.json() == {"status": "approved", "resumed": True}
    assert ended["status"] == "succeeded"
    assert set(steps(ended).values()) == {("Succeeded", None)}
    assert events(operator, run_id)[-1] == "run.completed"


def test_an_artifact_is_downloaded_by_a_redirect(operator: Api) -> None:
    run_id = operator("POST", "runs", scan_deploy()).json()["runId"]
    operator.ended(run_id)

    (listed,) = [
        one
        for one in operator("GET", f"runs/{run_id}/artifacts").json()
        if one["name"] != "evidence-bundle"
    ]
    redirect = operator("GET", f"runs/{run_id}/artifacts/{listed['name']}")
    file = httpx.get(redirect.headers["Location"])

    assert redirect.status_code == 302
    assert file.status_code == 200
    assert hashlib.sha256(file.content).hexdigest() == listed["sha256"]
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


def test_a_rejection_ends_the_run_at_its_gate(operator: Api, approver: Api) -> None:
    run_id = operator.run(GATED)
    operator.wait(run_id, "waiting")

    decided = approver.decide(run_id, "security", "rejected", summary="criticals")
    ended = operator.ended(run_id)
    contrary = approver.decide(run_id, "security", "approved")

    assert decided.json() == {"status": "rejected", "resumed": False}
    assert (ended["status"], steps(ended)["review"]) == ("failed", ("Failed", "approval-rejected"))
    assert steps(ended)["ship"] == ("Skipped", "run-failed")
    assert contrary.status_code == 409
    assert contrary.json()["error"]["code"] == "approval_already_decided"


def test_an_admin_may_expire_a_gate(operator: Api, approver: Api) -> None:
    run_id = operator.run(GATED)
    operator.wait(run_id, "waiting")

    refused = approver.decide(run_id, "security", "expired")
    expired = operator.as_("admin").decide(run_id, "security", "expired")
    ended = operator.ended(run_id)

    assert refused.status_code == 403
    assert expired.json() == {"status": "expired", "resumed": False}
    assert steps(ended)["review"] == ("Failed", "approval-expired")


def test_the_clock_expires_a_gate_by_itself(operator: Api) -> None:
    manifest = GATED.replace("grants: [packs.approve]", "expiresAfterSeconds: 60")
    run_id = operator.run(manifest)
    operator.wait(run_id, "waiting")

    state: dict[str, Any] = {}

    def ended() -> bool:
        state.update(operator("GET", f"runs/{run_id}").json())
        return bool(state["status"] == "failed")

    until(ended, "the gate expires", deadline_s=90)
    assert steps(state)["review"] == ("Failed", "approval-expired")
    assert "gate.expired" in events(operator, run_id)


def test_cancelling_is_for_good(operator: Api, approver: Api) -> None:
    run_id = operator.run(GATED)
    operator.wait(run_id, "waiting")

    answers = [operator("POST", f"runs/{run_id}/cancel") for _ in range(2)]
    late = approver.decide(run_id, "security", "approved")
    state = operator("GET", f"runs/{run_id}").json()

    assert [(a.status_code, a.json()) for a in answers] == [(202, {"status": "cancelled"})] * 2
    assert late.json()["error"]["code"] == "approval_not_open"
    assert state["status"] == "cancelled"
    assert steps(state) == {
        "build": ("Succeeded", None),
        "review": ("Skipped", "cancelled"),
        "ship": ("Skipped", "cancelled"),
    }


def test_a_step_is_retried_as_its_pack_says(operator: Api) -> None:
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
    assert steps(ended) == {
        "flaky": ("Succeeded", None),
        "broken": ("Failed", "executor-error"),
        "slow": ("Failed", "timeout"),
        "skipped": ("Skipped", "condition-false"),
    }
    assert ended["steps"][0]["attempts"] == 3


def test_lists_show_the_tenants_runs_and_open_approvals(operator: Api) -> None:
    run_id = operator.run(GATED)
    operator.wait(run_id, "waiting")

    approvals = operator("GET", "approvals", query={"limit": "100"}).json()["approvals"]
    page = operator("GET", "runs", query={"limit": "1"}).json()
    following = operator("GET", "runs", query={"limit": "1", "cursor": page["nextCursor"]}).json()

    assert run_id in {one["runId"] for one in approvals}
    assert (page["runs"][0]["runId"], page["runs"][0]["status"]) == (run_id, "waiting")
    assert following["runs"][0]["runId"] != run_id
    operator("POST", f"runs/{run_id}/cancel")
