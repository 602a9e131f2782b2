"""Whole runs: created over the API, executed by a Step Functions engine with the real handlers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.packs import deploy_app, pack, scan_deploy

if TYPE_CHECKING:
    from tests.machine.engine import Answer, Client, Engine


def steps(state: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {one["stepId"]: (one["status"], one.get("statusReason")) for one in state["steps"]}


def log(client: Client, run_id: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in client("GET", f"runs/{run_id}/logs").body.splitlines()]


def start(client: Client, manifest: str, **more: Any) -> str:  # noqa: ANN401
    answer = client("POST", "runs", {"manifest": manifest, **more})
    assert answer.status == 201, answer.body
    run_id: str = answer.json["runId"]
    assert answer.headers["Location"] == f"/v1/task-runner/runs/{run_id}"
    return run_id


def decide(client: Client, run_id: str, approval: str, decision: str, **more: str) -> Answer:
    plan_hash = client("GET", f"runs/{run_id}").json["planHash"]
    body = {"decision": decision, "planHash": plan_hash, **more}
    return client("POST", f"runs/{run_id}/approvals/{approval}", body)


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


def test_the_contracts_scan_pack_runs_to_its_end(engine: Engine, ana: Client) -> None:
    run_id = ana("POST", "runs", scan_deploy()).json["runId"]

    state = engine.ended(ana, run_id)

    assert state["status"] == "succeeded"
    assert steps(state) == {"scan": ("Succeeded", None)}
    assert [line["eventType"] for line in log(ana, run_id)] == [
        "run.created",
        "run.started",
        "step.started",
        "step.completed",
        "run.completed",
    ]
    listed = {one["name"]: one for one in ana("GET", f"runs/{run_id}/artifacts").json}
    report = listed["scan-report"]
    assert (report["type"], report["sourcePath"]) == ("file", "/output/scan-report.json")
    assert report["storedPath"] == f"runs/{run_id}/artifacts/{report['sha256']}/scan-report"


def test_the_contracts_deploy_pack_waits_for_its_approval(
    engine: Engine, ana: Client, bob: Client
) -> None:
    created = ana("POST", "runs", deploy_app())
    assert created.status == 201
    run_id = created.json["runId"]

    waiting = engine.wait(ana, run_id, "waiting")
    decided = decide(bob, run_id, "security-review", "approved", actorId="user:bob")
    ended = engine.ended(ana, run_id)

    assert steps(waiting)["approval"] == ("Pending", "awaiting-approval")
    assert steps(waiting)["deploy"] == ("Pending", None)
    assert decided.json == {"status": "approved", "resumed": True}
    assert ended["status"] == "succeeded"
    assert set(steps(ended).values()) == {("Succeeded", None)}


def test_outputs_reach_a_later_step(engine: Engine, ana: Client, bob: Client) -> None:
    run_id = start(ana, GATED)
    engine.wait(ana, run_id, "waiting")
    decide(bob, run_id, "security", "approved")
    engine.ended(ana, run_id)

    outcome = engine.world.runs.outcomes("tenant-prod", run_id, ["ship"])["ship"]

    assert outcome.outputs == {"size": 3}


def test_a_rejection_fails_the_run_at_its_gate(engine: Engine, ana: Client, bob: Client) -> None:
    run_id = start(ana, GATED)
    engine.wait(ana, run_id, "waiting")

    decided = decide(bob, run_id, "security", "rejected", summary="criticals")
    state = engine.ended(ana, run_id)

    assert decided.json == {"status": "rejected", "resumed": False}
    assert state["status"] == "failed"
    assert steps(state) == {
        "build": ("Succeeded", None),
        "review": ("Failed", "approval-rejected"),
        "ship": ("Skipped", "run-failed"),
    }


def test_a_failing_step_is_retried_and_then_succeeds(engine: Engine, ana: Client) -> None:
    manifest = pack(
        """
        - id: flaky
          run: {uses: builtin:fail, with: {message: not yet, attempts: 2}}
          retries: {maxAttempts: 3}
        """
    )
    run_id = start(ana, manifest)

    state = engine.ended(ana, run_id)

    assert state["status"] == "succeeded"
    assert state["steps"][0]["attempts"] == 3
    retried = [line for line in log(ana, run_id) if line["eventType"] == "step.failed"]
    assert [line["metadata"]["attempt"] for line in retried] == ["1", "2"]
    assert all("nextAttemptAt" in line["metadata"] for line in retried)


def test_the_last_failure_fails_the_run_and_skips_the_rest(engine: Engine, ana: Client) -> None:
    manifest = pack(
        """
        - id: broken
          run: {uses: builtin:fail, with: {message: no luck}}
        - id: after
          run: {uses: builtin:noop}
        """
    )
    run_id = start(ana, manifest)

    state = engine.ended(ana, run_id)

    assert state["status"] == "failed"
    assert steps(state) == {
        "broken": ("Failed", "executor-error"),
        "after": ("Skipped", "run-failed"),
    }
    assert state["steps"][0]["errorMessage"] == "no luck"
    assert log(ana, run_id)[-1]["message"] == "Run failed: step broken failed."


def test_with_continue_on_error_the_run_goes_on_and_succeeds(engine: Engine, ana: Client) -> None:
    manifest = pack(
        """
        - id: broken
          continueOnError: true
          run: {uses: builtin:fail, with: {message: no luck}}
        - id: after
          run: {uses: builtin:noop, with: {before: "{{ steps.broken.status }}"}}
        """
    )
    run_id = start(ana, manifest)

    state = engine.ended(ana, run_id)

    assert state["status"] == "succeeded"
    assert steps(state) == {"broken": ("Failed", "executor-error"), "after": ("Succeeded", None)}
    outcome = engine.world.runs.outcomes("tenant-prod", run_id, ["after"])["after"]
    assert outcome.outputs == {"before": "Failed"}


def test_a_condition_on_inputs_skips_its_step(engine: Engine, ana: Client) -> None:
    manifest = pack(
        """
        - id: one
          when: inputs.stage == 'prod'
          run: {uses: builtin:noop}
        - id: two
          when: inputs.stage == 'dev'
          run: {uses: builtin:noop}
        """,
        spec="inputs: [{name: stage, type: string, default: prod}]",
    )
    run_id = start(ana, manifest, inputs={"stage": "dev"})

    state = engine.ended(ana, run_id)

    assert steps(state) == {"one": ("Skipped", "condition-false"), "two": ("Succeeded", None)}
    assert [s["enabled"] for s in state["steps"]] == [False, True]
    assert state["steps"][0]["attempts"] == 0


def test_a_step_that_takes_too_long_fails_with_timeout(engine: Engine, ana: Client) -> None:
    manifest = pack(
        """
        - id: slow
          timeoutSeconds: 1
          run: {uses: builtin:sleep, with: {seconds: 60}}
        """
    )
    run_id = start(ana, manifest)

    state = engine.ended(ana, run_id)

    assert steps(state) == {"slow": ("Failed", "timeout")}


def test_cancelling_ends_a_waiting_run_for_good(engine: Engine, ana: Client, bob: Client) -> None:
    run_id = start(ana, GATED)
    engine.wait(ana, run_id, "waiting")

    first, second = ana("POST", f"runs/{run_id}/cancel"), ana("POST", f"runs/{run_id}/cancel")
    late = decide(bob, run_id, "security", "approved")
    state = ana("GET", f"runs/{run_id}").json

    assert (first.status, second.status) == (202, 202)
    assert first.json == second.json == {"status": "cancelled", "runStatus": "cancelled"}
    assert late.status == 409
    assert late.json["error"]["code"] == "approval_not_open"
    assert state["status"] == "cancelled"
    assert steps(state) == {
        "build": ("Succeeded", None),
        "review": ("Skipped", "cancelled"),
        "ship": ("Skipped", "cancelled"),
    }


def test_runs_of_one_pack_share_one_machine(engine: Engine, ana: Client) -> None:
    manifest = pack(
        "- {id: one, when: inputs.go, run: {uses: builtin:noop}}",
        spec="inputs: [{name: go, type: boolean, required: true}]",
    )
    for go in (True, False):
        engine.ended(ana, start(ana, manifest, inputs={"go": go}))

    machines = engine.states.list_state_machines()["stateMachines"]

    assert len([one for one in machines if "a-pack" in one["name"]]) == 1
