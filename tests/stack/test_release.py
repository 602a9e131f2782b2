"""The example release: scan, bundle, approval, deployment, and the evidence of all that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.stack.api import statuses
from tests.stack.command_line import taskrunner
from tests.template import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.api import Api

RELEASE = (ROOT / "examples/release.yaml").read_text(encoding="utf-8")


def test_a_release_is_scanned_bundled_approved_deployed_and_proven(
    operator: Api, approver: Api, tmp_path: Path
) -> None:
    run_id = operator.run(RELEASE)
    waiting = operator.wait(run_id, "waiting")

    answer = approver.decide(run_id, "release-manager", "approved")

    assert answer.json() == {"status": "approved", "resumed": True}
    state = operator.ended(run_id)
    assert set(statuses(state).values()) == {"Succeeded"}, statuses(state)
    artifacts = operator.artifacts(run_id)
    assert {artifact["status"] for artifact in artifacts.values()} == {"captured"}
    released = json.loads(artifacts["released"]["expressionJson"])
    assert released["deployment"]["environment"] == "production"
    assert released["window"] == {"from": "00:00", "to": "00:00"}

    folder = str(tmp_path / "evidence")
    fetched = taskrunner("evidence", "fetch", run_id, "--to", folder)
    verified = taskrunner(
        "evidence", "verify", folder, "--key", ".local/evidence-key.pem", "-o", "json",
        "--plan-hash", waiting["planHash"],
    )  # fmt: skip

    assert fetched.returncode == 0, fetched.stderr
    assert verified.returncode == 0, verified.stderr
    report = json.loads(verified.stdout)
    results = {check["check"]: check["result"] for check in report["checks"]}
    assert results["artifact bundle"] == results["artifact scan-report"] == "passed"
    approvals = report["statement"]["predicate"]["approvals"]
    assert [approval["approvalId"] for approval in approvals] == ["release-manager"]
    policies = report["statement"]["predicate"]["policies"]
    assert [(policy["policyId"], policy["verdict"]) for policy in policies] == [
        ("no-critical-findings", "passed"),
        ("change-window", "passed"),
    ]


def test_nothing_is_deployed_outside_of_the_change_window(operator: Api, approver: Api) -> None:
    never = {"windows": [{"environment": "elsewhere", "from": "00:00", "to": "00:00"}]}
    run_id = operator.run(RELEASE, inputs=never)
    operator.wait(run_id, "waiting")

    approver.decide(run_id, "release-manager", "approved")

    state = operator.ended(run_id)
    steps = {step["stepId"]: step for step in state["steps"]}
    assert steps["window"]["statusReason"] == "policy-failed"
    assert "no change window of production is open" in steps["window"]["errorMessage"]
    assert steps["deploy"]["status"] == "Skipped"
