"""Evidence over HTTP: every way a run can end leaves a bundle that the command line verifies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.packs import pack, scan_deploy
from tests.stack.api import until
from tests.stack.command_line import taskrunner
from tests.stack.packs import GATE
from tests.stack.recorded import make_due, record_without_start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api

KEY = ".local/evidence-key.pem"


def succeeded(operator: Api) -> str:
    run_id: str = operator("POST", "runs", scan_deploy()).json()["runId"]
    return run_id


def failed(operator: Api) -> str:
    return operator.run(pack("- {id: broken, run: {uses: builtin:fail, with: {message: no}}}"))


def cancelled(operator: Api) -> str:
    run_id = operator.run(GATE)
    operator.wait(run_id, "waiting")
    operator("POST", f"runs/{run_id}/cancel")
    return run_id


@pytest.mark.parametrize("ended", [succeeded, failed, cancelled])
def test_the_evidence_of_a_run_is_fetched_and_verified(
    operator: Api, ended: Callable[[Api], str], tmp_path: Path
) -> None:
    run_id = ended(operator)
    operator.ended(run_id)

    fetched = taskrunner("evidence", "fetch", run_id, "--to", str(tmp_path / "it"))
    verified = taskrunner("evidence", "verify", str(tmp_path / "it"), "--key", KEY, "-o", "json")

    assert fetched.returncode == 0, fetched.stderr
    assert verified.returncode == 0, verified.stderr
    report = json.loads(verified.stdout)
    run = report["statement"]["predicate"]["run"]
    assert (run["id"], run["outcome"]) == (run_id, ended.__name__)
    results = {check["check"]: check["result"] for check in report["checks"]}
    assert results.pop("plan") == "not given"
    assert set(results.values()) == {"passed"}
    assert ("artifact scan-report" in results) == (ended is succeeded)


def test_verification_names_a_file_that_was_changed_after_the_download(
    operator: Api, tmp_path: Path
) -> None:
    run_id = succeeded(operator)
    operator.ended(run_id)
    taskrunner("evidence", "fetch", run_id, "--to", str(tmp_path))
    log = tmp_path / "run.log"
    log.write_bytes(log.read_bytes().replace(b"Run completed.", b"Run Completed."))

    verified = taskrunner("evidence", "verify", str(tmp_path), "--key", KEY)

    assert verified.returncode == 1
    assert "failed: journal" in verified.stderr


def test_the_reconciler_seals_a_run_that_was_cancelled_before_it_was_started(
    operator: Api, stack: Stack, aws: Callable[[str], Any]
) -> None:
    """No event reports its end, because it has no execution."""
    run_id = record_without_start(stack, aws)
    operator("POST", f"runs/{run_id}/cancel")
    assert operator.artifacts(run_id) == {}

    make_due(stack, aws, run_id)
    aws("lambda").invoke(FunctionName=stack.reconcile_function)

    until(
        lambda: operator.artifacts(run_id).keys() == {"evidence-bundle"}, "the run has its evidence"
    )


def test_only_the_role_that_settles_runs_may_sign(stack: Stack, aws: Callable[[str], Any]) -> None:
    """The emulator enforces IAM, so a role can do what this simulation allows and nothing else."""
    iam = aws("iam")
    roles = {
        role["RoleName"].split("-")[1]: role["Arn"]
        for page in iam.get_paginator("list_roles").paginate()
        for role in page["Roles"]
        if role["RoleName"].startswith(f"{stack.machine_prefix}-")
    }

    def decision(role: str) -> str:
        (result,) = iam.simulate_principal_policy(
            PolicySourceArn=roles[role],
            ActionNames=["kms:Sign"],
            ResourceArns=[stack.evidence_key_arn],
        )["EvaluationResults"]
        return str(result["EvalDecision"])

    allowed = {role for role in roles if decision(role) == "allowed"}
    assert allowed == {"SettleRunFunctionRole"}
