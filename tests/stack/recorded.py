"""Runs as create_run leaves them when it stops between recording a run and starting it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from taskrunner.adapters.bucket import Bucket
from taskrunner.adapters.executions import StepFunctionsMachines
from taskrunner.adapters.journal_chunks import JournalChunks
from taskrunner.adapters.large_texts import LargeTexts
from taskrunner.adapters.plans import BucketPlans
from taskrunner.adapters.retention import Retention
from taskrunner.adapters.runs import DynamoRuns
from taskrunner.adapters.step_outcomes import StepOutcomes
from taskrunner.adapters.table import Table
from taskrunner.compiler.driver import compile_pack
from taskrunner.model.entries import run_entries
from taskrunner.model.run import Run
from taskrunner.model.timestamp import to_text
from tests.stack.packs import STEP

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner_cli.local import Stack


def record_without_start(stack: Stack, aws: Callable[[str], Any]) -> str:
    """Record a run of one step in the stack's table, and return its id.

    The reconciler's next pass does not start it, because its caller has a minute for that.
    """
    timestamp = to_text(datetime.now(UTC))
    run_id = f"run-{uuid.uuid4()}"
    compiled = compile_pack(STEP, {})
    machines = StepFunctionsMachines(
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
        machine=machines.name(
            compiled.plan.pack_name, compiled.plan.pack_version, compiled.definition
        ),
        execution=uuid.uuid4().hex,
        created_at=timestamp,
        created_by="ana",
        request_digest="sha256:" + "0" * 64,
        longest_s=86400 * 3650,
    )
    entry = run_entries.run_created(run)
    retention = Retention(30 * 86400)
    BucketPlans(bucket, retention).put(run.tenant, run.plan_hash, compiled.document, run.longest_s)
    table = Table(aws("dynamodb"), stack.table_name)
    outcomes = StepOutcomes(table, LargeTexts(bucket, retention), retention)
    journal = JournalChunks(table, retention)
    assert DynamoRuns(table, journal, outcomes, retention).create(run, [entry])
    return run_id


def make_due(stack: Stack, aws: Callable[[str], Any], run_id: str) -> None:
    """Let the reconciler look at the run now, and not after the minute that its callers have."""
    aws("dynamodb").update_item(
        TableName=stack.table_name,
        Key={"pk": {"S": f"T#tenant-prod#R#{run_id}"}, "sk": {"S": "R"}},
        UpdateExpression="SET due_at = :past",
        ConditionExpression="attribute_exists(due)",
        ExpressionAttributeValues={":past": {"S": "2025-12-06T10:00:00.000Z"}},
    )
