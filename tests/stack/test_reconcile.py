"""Runs that nobody ends by the usual way: stopped from outside, or recorded and never started."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from taskrunner.adapters.bucket import Bucket
from taskrunner.adapters.claims import Claims
from taskrunner.adapters.executions import StepFunctionsMachines
from taskrunner.adapters.journal_chunks import JournalChunks
from taskrunner.adapters.plans import BucketPlans
from taskrunner.adapters.retention import Retention
from taskrunner.adapters.runs import DynamoRuns
from taskrunner.adapters.step_outcomes import StepOutcomes
from taskrunner.adapters.table import Table
from taskrunner.compiler.driver import compile_pack
from taskrunner.model.entries import run_entries
from taskrunner.model.run import Run
from tests.packs import pack
from tests.stack.conftest import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner_cli.local import Stack
    from tests.stack.conftest import Api

GATED = pack("- {id: review, gate: {approval: {id: security}}}", spec="approvals: [{id: security}]")


def test_a_run_whose_execution_is_stopped_in_the_console_is_settled(
    operator: Api, aws: Callable[[str], Any]
) -> None:
    run_id = operator.run(GATED)
    operator.wait(run_id, "waiting")
    states = aws("stepfunctions")
    (execution,) = [
        one["executionArn"]
        for machine in states.list_state_machines()["stateMachines"]
        if "_a-pack-" in machine["name"]
        for one in states.list_executions(
            stateMachineArn=machine["stateMachineArn"], statusFilter="RUNNING"
        )["executions"]
        if run_id in states.describe_execution(executionArn=one["executionArn"])["input"]
    ]

    states.stop_execution(executionArn=execution)
    state = operator.ended(run_id)

    assert state["status"] == "failed"
    assert state["steps"][0]["statusReason"] == "run-failed"
    log = operator("GET", f"runs/{run_id}/logs").text.splitlines()
    assert "ABORTED" in json.loads(log[-1])["message"]


def test_a_run_that_was_recorded_and_not_started_is_started(
    operator: Api, stack: Stack, aws: Callable[[str], Any]
) -> None:
    run_id = recorded(stack, aws)
    assert operator("GET", f"runs/{run_id}").json()["status"] == "queued"
    states = aws("stepfunctions")

    pass_arn = states.start_execution(stateMachineArn=stack.reconcile_machine_arn)["executionArn"]
    state: dict[str, Any] = {}

    def ended() -> bool:
        state.update(operator("GET", f"runs/{run_id}").json())
        return bool(state["status"] == "succeeded")

    # The reconciler gives create_run a minute before it starts a run in its place.
    until(ended, "the reconciler starts the run", deadline_s=120)
    until(
        lambda: states.describe_execution(executionArn=pass_arn)["status"] == "SUCCEEDED",
        "the reconciler's pass ends",
    )


def recorded(stack: Stack, aws: Callable[[str], Any]) -> str:
    """What create_run leaves when it stops between recording a run and starting it."""
    clock = "2025-12-06T10:00:00.000Z"
    run_id = f"run-{uuid.uuid4()}"
    compiled = compile_pack(pack("- {id: one, run: {uses: builtin:noop}}"), {})
    executions = StepFunctionsMachines(
        aws("stepfunctions"), stack.pack_run_machine_arn, stack.machine_prefix
    )
    bucket = Bucket(aws("s3"), stack.bucket_name)
    run = Run(
        tenant="tenant-prod",
        run_id=run_id,
        plan_hash=compiled.plan_hash,
        definition_hash=compiled.definition_hash,
        pack_name=compiled.plan.pack_name,
        pack_version=compiled.plan.pack_version,
        machine=executions.name(compiled.plan.pack_name, compiled.definition_hash),
        execution=uuid.uuid4().hex,
        created_at=clock,
        created_by="ana",
        request_digest="sha256:" + "0" * 64,
        longest_s=86400 * 3650,
    )
    entry = run_entries.run_created(run)
    retention = Retention(30 * 86400)
    BucketPlans(bucket, retention).put(run.tenant, run.plan_hash, compiled.document, run.longest_s)
    table = Table(aws("dynamodb"), stack.table_name)
    outcomes = StepOutcomes(table, Claims(bucket, retention), retention)
    journal = JournalChunks(table, retention)
    assert DynamoRuns(table, journal, outcomes, retention).create(run, [entry])
    return run_id
